"""How long ops and runs may take or wait, as their authors write it."""

from __future__ import annotations

import time

import pytest

import controlplane as dg
from runs import interrupts, system_tags


def made() -> None: ...


@pytest.mark.parametrize("field", ["timeout", "max_wait"])
@pytest.mark.parametrize("value", [0, -1, True, "60", float("nan"), float("inf"), 367 * 24 * 3600, []])
def test_a_span_of_time_that_is_none_is_refused(field, value):
    with pytest.raises(dg.DefinitionError, match=f"op made: {field} .* is not allowed: use seconds, more than 0"):
        dg.op(**{field: value})(made)
    with pytest.raises(dg.DefinitionError, match=f"asset made: {field} "):
        dg.asset(**{field: value})(made)


@pytest.mark.parametrize("value", [-1, 1.5, True, "1", 101])
def test_a_number_of_crashes_that_is_none_is_refused(value):
    with pytest.raises(dg.DefinitionError, match=r"crash_retries .* is not allowed: use a whole number, 0 to 100"):
        dg.op(crash_retries=value)(made)


def test_bounds_are_kept_as_they_were_written():
    op = dg.op(timeout=60, max_wait=0.5, crash_retries=0)(made)
    assert (op.timeout, op.max_wait, op.crash_retries) == (60.0, 0.5, 0)
    plain = dg.op(made)
    assert (plain.timeout, plain.max_wait, plain.crash_retries) == (None, None, None)


def test_the_patience_of_a_job_is_a_tag_of_its_runs_and_the_tag_wins():
    one = dg.op(made)

    @dg.job(max_wait=1234567)
    def patient():
        one()

    @dg.job(max_wait=60, tags={"sluice/max_wait": "5"})
    def less_patient():
        one()

    assert patient.tags == {"sluice/max_wait": "1234567"}
    assert less_patient.tags == {"sluice/max_wait": "5"}
    assert system_tags.as_seconds(patient.tags["sluice/max_wait"]) == 1234567


def test_a_job_with_a_bound_that_is_none_is_refused():
    with pytest.raises(dg.DefinitionError, match="job bounded: tag dagster/max_runtime: 'soon' is not allowed"):
        dg.define_asset_job("bounded", tags={"dagster/max_runtime": "soon"})


# --- in the op's code -------------------------------------------------------------------------------


def test_code_that_ends_in_time_is_left_alone():
    with interrupts.interruptible(60):
        pass


def test_code_that_takes_too_long_is_told_so():
    with pytest.raises(interrupts.TimedOut, match=r"timed out after 0\.05 s"), interrupts.interruptible(0.05):
        time.sleep(60)


def test_code_that_goes_on_after_its_time_has_timed_out():
    with pytest.raises(interrupts.TimedOut), interrupts.interruptible(0.05):
        try:
            time.sleep(60)
        except BaseException:
            pass


def test_whatever_it_raises_instead_it_has_timed_out():
    with pytest.raises(interrupts.TimedOut) as caught, interrupts.interruptible(0.05):
        try:
            time.sleep(60)
        finally:
            raise ValueError("cleaning up failed")
    assert isinstance(caught.value.__cause__, ValueError)


def test_what_it_raises_in_time_is_its_own():
    with pytest.raises(ValueError, match="its own"), interrupts.interruptible(60):
        raise ValueError("its own")
