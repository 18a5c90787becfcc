"""The benchmark's own judge: it sees a limit that was exceeded, an op that was lost, and one that ran twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import trace
from tests.bench.trace import Broken, Interval


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "trace"
    monkeypatch.setenv(trace.VARIABLE, str(path))
    return path


def test_what_was_written_is_read(written: Path) -> None:
    trace.nothing("a/b c")
    with trace.written("unfinished"):
        ended, running = trace.read(written)
    assert [interval.name for interval in ended] == ["a/b c"]
    assert running == {"unfinished"}
    assert ended[0].start <= ended[0].end


def test_an_op_that_raises_has_ended(written: Path) -> None:
    with pytest.raises(ZeroDivisionError), trace.written("raises"):
        raise ZeroDivisionError
    assert [interval.name for interval in trace.read(written)[0]] == ["raises"]


@pytest.mark.parametrize("first_has_ended", [True, False])
def test_an_op_that_runs_twice_is_seen(written: Path, first_has_ended: bool) -> None:
    written.write_text("+ 1.0 op\n" + ("- 2.0 op\n" if first_has_ended else "") + "+ 3.0 op\n- 4.0 op\n")
    with pytest.raises(Broken, match="op ran twice"):
        trace.read(written)


# Two slots: a and b overlap, c takes b's place the moment that it is free, d comes 0.5 s after a's end.
FOUR = [Interval("a", 0.0, 4.0), Interval("b", 1.0, 3.0), Interval("c", 3.0, 5.0), Interval("d", 4.5, 6.0)]


def test_an_exceeded_limit_and_a_lost_op_are_seen() -> None:
    assert trace.most_at_once(FOUR) == 2
    trace.check(FOUR, expected=4, limit=2)
    with pytest.raises(Broken, match="2 ops at once under a limit of 1"):
        trace.check(FOUR, expected=4, limit=1)
    with pytest.raises(Broken, match="4 of 5 ops ran"):
        trace.check(FOUR, expected=5, limit=2)


def test_figures() -> None:
    assert trace.utilisation(FOUR, limit=2) == pytest.approx((4 + 2 + 2 + 1.5) / (2 * 6))
    assert trace.hand_offs(FOUR, limit=2) == [0.0, 0.5]
    assert trace.rate(FOUR, warm_up=1) == pytest.approx(3 / (6 - 3))
    assert trace.quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert trace.quantile([1.0, 2.0], 1.0) == 2.0
