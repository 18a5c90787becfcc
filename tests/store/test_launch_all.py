"""Many runs are launched in one transaction: they are what as many launches would have made."""

from __future__ import annotations

import pytest

from pools.models import Hold, Waiter
from runs import launch, run_limits, states
from runs.graph import Plan as Plan_
from runs.launch import Asked
from runs.models import Op, Plan, Run, RunTag
from tests.builders import ADA, job, launched_run, op, tag_rule, workers
from tests.conftest import clear
from tests.invariants import check_engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

TO_JSON = Plan_.to_json
ONE = job(op("a", pool="database"), op("b", queue="gpu", priority=3))
OTHER = job(op("only"), name="other", tags={"team": "core"})
WANTED = [
    Asked(ONE, {"team": "growth"}, 5),
    Asked(OTHER),
    Asked(ONE, {"team": "growth", "sluice/max_wait": "60"}, 5),
    Asked(OTHER, {"dagster/max_retries": "2"}, -1),
    Asked(OTHER),
]


def written() -> list[object]:
    """All rows of the runs, without what differs between any two launches: ids, tokens and times."""
    own = {"id", "uid", "run_id", "plan_id", "token", "queued_at", "started_at", "ready_at", "admitted_at"}
    runs = Run.objects.order_by("id")
    place = {pk: number for number, pk in enumerate(runs.values_list("pk", flat=True))}
    holders = {f"run:{pk}": number for pk, number in place.items()}
    holders |= {f"op:{op.pk}": (place[op.run_id], op.key) for op in Op.objects.all()}
    rows: list[object] = [{name: value for name, value in row.items() if name not in own} for row in runs.values()]
    rows += sorted((place[run], key, value) for run, key, value in RunTag.objects.values_list("run", "key", "value"))
    rows += [
        {name: value for name, value in row.items() if name not in own}
        for row in Op.objects.order_by("run", "rank").values()
    ]
    rows += sorted(
        (str(holders[waiter.holder]), waiter.priority, str(waiter.give_up_at and waiter.give_up_at - waiter.since))
        for waiter in Waiter.objects.all()
    )
    rows += sorted((str(holders[hold.holder]), hold.gate.key.split(":")[0], hold.slots) for hold in Hold.objects.all())
    return rows


@pytest.mark.parametrize("maximum", [0, 10])
def test_they_are_what_as_many_launches_would_have_made(maximum: int) -> None:
    found = []
    for at_once in (False, True):
        clear()
        tag_rule("team", 1, "growth")
        workers(1)
        run_limits.set_maximum(maximum, ADA)
        if at_once:
            (uids,) = launch.launch_all(WANTED, who="ada", door="cli")
            assert uids == list(Run.objects.order_by("id").values_list("uid", flat=True))
        else:
            for each in WANTED:
                launched_run(each.job, tags=each.tags, priority=each.priority)
        check_engine()
        found.append(written())
    assert found[0] == found[1]


def test_the_first_by_priority_starts_first() -> None:
    run_limits.set_maximum(1, ADA)
    ((low, high),) = launch.launch_all([Asked(OTHER), Asked(OTHER, None, 7)], who="ada", door="cli")
    assert Run.objects.get(uid=high).state == states.STARTED
    assert Run.objects.get(uid=low).state == states.QUEUED


def test_if_one_can_not_be_launched_none_is_and_each_fault_is_named_with_its_place() -> None:
    wrong = [Asked(OTHER), Asked(OTHER, {"": "x"}), Asked(OTHER, None, 10**12), Asked(OTHER, values={"rows": 1})]
    with pytest.raises(launch.CannotLaunch) as refused:
        launch.launch_all(wrong, who="ada", door="cli")
    assert list(refused.value.errors) == ["1.tags", "2.priority", "3.params.rows"]
    assert not Run.objects.exists()
    assert not Plan.objects.exists()


def test_many_are_launched_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "AT_ONCE", 2)
    run_limits.set_maximum(1, ADA)
    parts = launch.launch_all([Asked(OTHER)] * 5, who="ada", door="cli")
    assert len(next(parts)) == 2
    assert Run.objects.count() == 2
    assert [len(part) for part in parts] == [2, 1]
    assert Run.objects.filter(state=states.STARTED).count() == 1


def test_what_all_runs_of_a_job_execute_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(Plan_, "to_json", lambda plan: made.append(plan) or TO_JSON(plan))
    (uids,) = launch.launch_all([Asked(job(op("a"), op("b")))] * 20, who="ada", door="cli")
    assert len(uids) == 20
    assert len(made) <= 4, "it is checked, kept, and named by its digest"
