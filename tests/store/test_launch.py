"""Launching: what was asked for is checked first, then the run and all its ops are there, or nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import pytest
from pydantic import BaseModel, Field

from pools.models import Waiter
from runs import catalog, launch
from runs.launch import CannotLaunch
from runs.models import Op, Plan, Run, RunTag
from runs.retry import RetryPolicy
from tests.builders import job, launched_run, op, queued_run, started_run, the_op

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

HIGHEST = 2**31 - 1


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Params:
    day: str
    count: int = 3
    ratio: float = 0.5
    dry: bool = False
    color: Color = Color.RED


class Model(BaseModel):
    day: str
    count: int = Field(3, ge=1)


def refused(**how):
    """The errors of a launch that must write nothing."""
    before = (Run.objects.count(), Op.objects.count(), RunTag.objects.count(), Waiter.objects.count())
    with pytest.raises(CannotLaunch) as error:
        launched_run(how.pop("job", None) or job(), **how)
    assert (Run.objects.count(), Op.objects.count(), RunTag.objects.count(), Waiter.objects.count()) == before
    assert all(text in str(error.value) for text in error.value.errors.values())
    return error.value.errors


# --- what is written --------------------------------------------------------------------------------


def test_a_run_and_all_its_ops_are_written():
    run = queued_run(job(op("b", after=["a"], priority=4, queue="gpu"), op("a"), name="nightly"))
    assert (run.job, run.state, run.priority, run.launched_by, run.door) == ("nightly", "queued", 0, "ada", "cli")
    assert len(run.uid) == 32
    assert run.short == run.uid[:8]
    assert list(Op.objects.order_by("rank").values_list("key", "rank", "waits_for", "priority", "queue", "state")) == [
        ("a", 0, 0, 0, "default", "pending"),
        ("b", 1, 1, 4, "gpu", "pending"),
    ]


def test_runs_of_one_definition_share_its_plan():
    for _ in range(3):
        launched_run(job(op("a")))
    launched_run(job(op("b")))
    assert Plan.objects.count() == 2


def test_each_run_has_an_id_of_its_own():
    assert len({launched_run().uid for _ in range(5)}) == 5


# --- tags and priority ------------------------------------------------------------------------------


def test_the_launchs_tags_are_added_to_the_jobs():
    run = launched_run(job(tags={"team": "growth", "env": "dev"}), tags={"env": "prod", "n": 3})
    assert run.tags == {"team": "growth", "env": "prod", "n": "3"}
    assert dict(RunTag.objects.values_list("key", "value")) == run.tags


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"k": None}, "run: tag k: None is not allowed: use a string of at most 500 characters."),
        ({"": "x"}, "run: tag '' is not allowed"),
        ({"k": "v" * 501}, "use a string of at most 500 characters"),
        ({"k" * 201: "v"}, "use a name of 1 to 200 characters"),
        (["k"], "run: tags ['k'] is not allowed: use a dict."),
    ],
)
def test_wrong_tags_are_refused(tags, said):
    assert said in refused(tags=tags)["tags"]


def test_a_priority_is_a_tag():
    run = launched_run(priority=-7)
    assert (run.priority, run.tags) == (-7, {"dagster/priority": "-7"})
    assert launched_run(tags={"dagster/priority": "3"}).priority == 3
    assert launched_run(job(tags={"dagster/priority": "4"})).priority == 4
    assert launched_run(job(tags={"dagster/priority": "4"}), priority=1).priority == 1


def test_a_priority_that_is_no_number_counts_as_0_and_is_warned_of():
    run = launched_run(tags={"dagster/priority": "high"})
    assert run.priority == 0
    assert launch.warnings(run.tags) == ["dagster/priority='high' is no whole number; it counts as 0."]
    assert launch.warnings({"dagster/priority": "3"}) == []
    assert launch.warnings({}) == []


@pytest.mark.parametrize("priority", [HIGHEST, -HIGHEST])
def test_the_highest_and_the_lowest_priority(priority):
    assert launched_run(priority=priority).priority == priority


@pytest.mark.parametrize("priority", [HIGHEST + 1, -HIGHEST - 1, 10**25])
def test_a_priority_beyond_is_refused(priority):
    errors = refused(priority=priority)
    assert set(errors) == {"priority"}
    assert errors["priority"].startswith(f"{priority} is not allowed: ")
    assert f"within +-{HIGHEST}" in errors["priority"]


@pytest.mark.parametrize(("run_priority", "op_priority"), [(HIGHEST, 1), (-HIGHEST, -1), (1, HIGHEST), (2**30, 2**30)])
def test_a_sum_beyond_is_refused(run_priority, op_priority):
    assert "priority" in refused(job=job(op("a", priority=op_priority)), priority=run_priority)


def test_a_sum_within_is_fine():
    run = started_run(job(op("a", priority=1)), priority=HIGHEST - 1)
    assert Waiter.objects.get(holder=f"op:{the_op(run).pk}").priority == HIGHEST


def test_a_plan_that_could_not_be_read_again_is_refused():
    """Written, it would break the transactions of whoever reads it: other runs' too."""
    policy = RetryPolicy(delay=1)
    object.__setattr__(policy, "backoff", "bogus")
    assert refused(job=job(op("a", retry=policy), name="odd")) == {
        "job": "what job odd needs can't be kept: ValueError: 'bogus' is not a valid Backoff"
    }
    assert Plan.objects.count() == 0


# --- params -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [Params, Model])
def test_params_are_read_as_their_type_and_completed(params):
    run = launched_run(job(params=params), values={"day": "monday", "count": "5"})
    assert (run.params["day"], run.params["count"]) == ("monday", 5)


def test_every_kind_of_param():
    run = launched_run(job(params=Params), values={"day": "x", "ratio": "1.5", "dry": "true", "color": "blue"})
    assert run.params == {"day": "x", "count": 3, "ratio": 1.5, "dry": True, "color": "blue"}


@pytest.mark.parametrize(
    ("params", "values", "field", "said"),
    [
        (Params, {}, "params.day", "required"),
        (Params, {"day": "x", "count": "many"}, "params.count", "(got 'many')"),
        (Params, {"day": "x", "color": "green"}, "params.color", "(got 'green')"),
        (Params, {"day": "x", "size": 1}, "params.size", "unknown; this job takes day, count, ratio, dry, color"),
        (Model, {"day": "x", "count": 0}, "params.count", "greater than or equal to 1 (got 0)"),
        (None, {"day": "x"}, "params.day", "this job takes no params"),
    ],
)
def test_wrong_params_are_named_by_field(params, values, field, said):
    assert said in refused(job=job(params=params), values=values)[field]


def test_all_that_is_wrong_is_said_at_once():
    errors = refused(job=job(params=Params), values={"count": "x"}, tags={"k": None}, priority=2**40)
    assert set(errors) == {"tags", "priority", "params.day", "params.count"}


# --- finding what to launch -------------------------------------------------------------------------


def test_a_job_is_found_by_name():
    assert launch.find_job(catalog.current(), "one_op").name == "one_op"


def test_an_unknown_job_is_named_with_those_there_are():
    with pytest.raises(CannotLaunch) as error:
        launch.find_job(catalog.current(), "nowhere")
    assert error.value.errors["job"].startswith("there is no job 'nowhere'; there are: about_itself, ")
    with pytest.raises(CannotLaunch, match="there are: none; set CONTROLPLANE_MODULES"):
        launch.find_job(catalog.load([]), "nowhere")


def test_assets_are_launched_without_a_job_with_their_dependencies():
    run = launched_run(launch.find_assets(catalog.current(), ["derived", "base", "derived", ""]))
    assert run.job == catalog.ASSET_JOB
    assert dict(Op.objects.values_list("key", "waits_for")) == {"base": 0, "derived": 1}
    assert Op.objects.filter(asset=True).count() == 2


def test_all_assets_are_launched_by_a_star():
    run = launched_run(launch.find_assets(catalog.current(), ["*"]))
    assert sorted(Op.objects.filter(run=run).values_list("key", flat=True)) == sorted(catalog.current().assets)
    with pytest.raises(CannotLaunch, match="there are no assets"):
        launch.find_assets(catalog.load([]), ["*"])


def test_unknown_assets_and_none_at_all_are_refused():
    with pytest.raises(CannotLaunch) as error:
        launch.find_assets(catalog.current(), ["base", "nowhere"])
    assert error.value.errors == {"select": "there is no asset 'nowhere'; there are: base, derived, kept_asset"}
    with pytest.raises(CannotLaunch, match="select at least one asset"):
        launch.find_assets(catalog.current(), [""])
