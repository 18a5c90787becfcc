"""The tables of the benchmarks: what was aimed at, what came out, and what missed it."""

from __future__ import annotations

from tests.bench import behind, front, viewers
from tests.bench.front import Row


def test_a_row_says_what_missed_its_aim() -> None:
    slow = Row("wait, ms", lambda f: f["wait"], most=10)
    few = Row("ops/s", lambda f: f["rate"], least={"sqlite": 5.0}, digits=0)
    figures = {"wait": 10.04, "rate": 4.4}
    assert (slow.target("sqlite"), slow.cell(figures, "sqlite")) == ("≤ 10", "10.0 **missed**")
    assert (few.target("sqlite"), few.cell(figures, "sqlite")) == ("≥ 5", "4 **missed**")
    assert (few.target("postgres"), few.cell(figures, "postgres")) == ("", "4")
    assert slow.cell({"wait": 10.0}, "sqlite") == "10.0"


def test_databases_stand_side_by_side() -> None:
    table = front.side_by_side(
        [Row("ops/s", lambda f: f["rate"], least=2)], {"sqlite": {"rate": 3}, "postgres": {"rate": 1}}
    )
    assert table.splitlines()[2] == "| ops/s | ≥ 2 | 3.0 | ≥ 2 | 1.0 **missed** |"


def test_a_life_is_compared_with_the_first() -> None:
    stages = [("nobody", {"op": 0.002, "run": 0.004}), ("1000 ops", {"op": 0.0025, "run": 0.006})]
    table = behind.table({"sqlite": {"stages": stages}})
    assert table.splitlines()[3] == "| 1000 ops | 2.5 (1.25) | 6.0 (1.50 **missed**) |"


def test_who_saw_a_later_change_saw_this_one() -> None:
    viewer = viewers.Viewer(seen={1000: 1.0, 1002: 3.5})
    assert [viewer.saw(limit) for limit in (1000, 1001, 1002)] == [1.0, 3.5, 3.5]
