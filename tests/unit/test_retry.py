"""Whether a failed attempt is tried again, and after how long."""

from __future__ import annotations

import pytest

from runs.retry import LONGEST_DELAY, Backoff, Jitter, RetryPolicy, delay_before_next


def test_without_a_policy_the_first_attempt_is_the_last():
    assert delay_before_next(None, 1) is None


def test_max_retries_counts_the_attempts_after_the_first():
    policy = RetryPolicy(max_retries=2)
    assert delay_before_next(policy, 1) == 0.0
    assert delay_before_next(policy, 2) == 0.0
    assert delay_before_next(policy, 3) is None


def test_no_retries_is_a_policy_too():
    assert delay_before_next(RetryPolicy(max_retries=0), 1) is None


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [(None, [10, 10, 10]), (Backoff.LINEAR, [10, 20, 30]), (Backoff.EXPONENTIAL, [10, 20, 40])],
)
def test_the_delay_grows_as_the_backoff_says(backoff, delays):
    policy = RetryPolicy(max_retries=3, delay=10, backoff=backoff)
    assert [delay_before_next(policy, attempt) for attempt in (1, 2, 3)] == delays


def test_a_large_attempt_number_does_not_overflow():
    policy = RetryPolicy(max_retries=10_000, delay=1, backoff=Backoff.EXPONENTIAL)
    assert delay_before_next(policy, 9_999) == LONGEST_DELAY


@pytest.mark.parametrize(
    ("jitter", "spread", "delay"),
    [
        (Jitter.FULL, 0.0, 0),
        (Jitter.FULL, 0.5, 5),
        (Jitter.FULL, 1.0, 10),
        (Jitter.PLUS_MINUS, 0.0, 0),
        (Jitter.PLUS_MINUS, 0.5, 10),
        (Jitter.PLUS_MINUS, 1.0, 20),
    ],
)
def test_jitter_spreads_the_delay(jitter, spread, delay):
    policy = RetryPolicy(delay=10, jitter=jitter)
    assert delay_before_next(policy, 1, spread=lambda: spread) == delay


@pytest.mark.parametrize("delay", [3600, 86_400])
@pytest.mark.parametrize("jitter", [None, *Jitter])
def test_nobody_waits_for_longer_than_a_year(delay, jitter):
    policy = RetryPolicy(max_retries=100, delay=delay, backoff=Backoff.EXPONENTIAL, jitter=jitter)
    assert delay_before_next(policy, 90, spread=lambda: 1.0) == LONGEST_DELAY == 365 * 24 * 3600


@pytest.mark.parametrize("value", [-1, 1.5, "3", True, None, 2**31])
def test_max_retries_is_a_whole_number(value):
    with pytest.raises(ValueError) as error:
        RetryPolicy(max_retries=value)
    said = f"RetryPolicy max_retries: {value!r} is not allowed: use a whole number, 0 to 2147483647."
    assert str(error.value) == said


@pytest.mark.parametrize("value", [-0.1, "1", True, float("inf"), float("nan"), 2592000.5, 10**400])
def test_a_delay_is_seconds(value):
    with pytest.raises(ValueError) as error:
        RetryPolicy(delay=value)
    assert str(error.value) == f"RetryPolicy delay: {value!r} is not allowed: use seconds, 0 to 2592000 (30 days)."


@pytest.mark.parametrize("value", ["exponential", "bogus", Jitter.FULL, 2, ""])
def test_a_backoff_is_one_of_ours(value):
    with pytest.raises(ValueError) as error:
        RetryPolicy(delay=1, backoff=value)
    said = f"RetryPolicy backoff: {value!r} is not allowed: use Backoff.LINEAR or Backoff.EXPONENTIAL."
    assert str(error.value) == said


@pytest.mark.parametrize("value", ["full", Backoff.LINEAR, True])
def test_a_jitter_is_one_of_ours(value):
    with pytest.raises(ValueError) as error:
        RetryPolicy(delay=1, jitter=value)
    assert str(error.value) == f"RetryPolicy jitter: {value!r} is not allowed: use Jitter.FULL or Jitter.PLUS_MINUS."


@pytest.mark.parametrize("wrong", [{"backoff": Backoff.LINEAR}, {"jitter": Jitter.FULL}])
def test_backoff_and_jitter_need_a_delay(wrong):
    with pytest.raises(ValueError, match="backoff and jitter need a delay"):
        RetryPolicy(**wrong)
