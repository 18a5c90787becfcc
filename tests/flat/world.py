"""A deployment with a long backlog, and what is done and looked at in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.contrib.auth.models import Group, User
from django.test import Client

from pools.models import PoolSettings
from runs import rule_effect, run_limits, sooner, states, why
from runs.audit import looking
from runs.models import Run
from runs.recover import Clock
from runs.tag_limits import TagLimit
from tests import backlog
from tests import builders as a

LAUNCHED = 20  # runs of each kind that are launched; the others are their copies
OPS = 10  # of a run in progress
AT_WORK = 5
TENANTS = 5
OF_AN_OP = ("a completion that admits the next", "a start")  # what the process of an op does


def build(count: int) -> None:
    """Five ops run. `count` ops wait for their pool, in runs with a limit of their own; `count` runs are queued behind
    a rule on a team and one that counts each tenant, and look out for the pool; `count` are over.
    """
    PoolSettings.objects.update(check_at_queue=False)
    a.pool("database", AT_WORK)
    a.tag_rule("team", 2, "growth")
    a.tag_rule("tenant", 3, per_value=True)
    run_limits.set_maximum(-1, a.ADA)
    a.workers(30)
    _over(count)
    _in_progress(count)
    run_limits.set_maximum(Run.objects.filter(state=states.STARTED).count(), a.ADA)
    PoolSettings.objects.update(check_at_queue=True)
    _launch_and_copy([_tags(number) for number in range(LAUNCHED)], count)
    backlog.settle()


def build_small(count: int) -> None:
    """Two ops run, one waits, one is to be tried again, two runs are queued; so many runs are over."""
    a.pool("database", 2)
    a.workers(30)
    _over(count)
    for _ in range(4):
        a.launched_run(_small(), tags=_tags(1))
    _start_admitted()
    a.fail(a.in_state(states.RUNNING)[0], retry_in=3600)
    _start_admitted()
    run_limits.set_maximum(0, a.ADA)
    for number in range(2):
        a.launched_run(_small(), tags=_tags(number))
    backlog.settle()


def go_on(count: int) -> None:
    """So many more runs are over, before and after what goes on."""
    over = Run.objects.filter(state=states.SUCCESS).earliest("id")
    backlog.copy(over, over, count)
    backlog.settle()


def _over(count: int) -> None:
    runs = [a.launched_run(_small(), tags=_tags(number)) for number in range(2)]
    a.carry_out_all()
    backlog.copy(runs[0], runs[-1], count // len(runs) - 1)


def _in_progress(count: int) -> None:
    of_many = a.job(*[a.op(f"op_{number}", pool="database") for number in range(OPS)], name="large", max_concurrent=4)
    for _ in range(2):
        a.launched_run(of_many)
    _start_admitted()
    waiting = [a.launched_run(of_many) for _ in range(LAUNCHED)]
    backlog.copy(waiting[0], waiting[-1], count // (OPS * LAUNCHED) - 1)


def _launch_and_copy(tags: list[dict[str, str]], count: int) -> None:
    runs = [a.launched_run(_small(), tags=each) for each in tags]
    backlog.copy(runs[0], runs[-1], count // len(runs) - 1)


def _small() -> a.Job:
    return a.job(a.op("only", pool="database"), name="small")


def _tags(number: int) -> dict[str, str]:
    return {"tenant": f"tenant-{number % TENANTS}", "team": "growth" if number % 2 else "core"}


def _start_admitted() -> None:
    for op_row in a.in_state(states.ADMITTED):
        a.start(op_row)


Act = Callable[[], object]


def looks() -> dict[str, Callable[[], Act]]:
    """What looks for the few that are not over."""
    reader = _reader()
    pages = {
        "the overview": "/",
        "the queue page": "/queue/",
        "its limits": "/queue/limits/",
        "the settings": "/settings/",
        "a search that finds nothing": "/search/?q=nothing-like-it",
        "a search for a job": "/search/?q=small",
    }
    each_team = TagLimit("team", 1, per_value=True)
    return {
        "an audit": lambda: looking.look,
        "a pass of the clock": lambda: Clock().one_pass,
        "what a rule would do": lambda: lambda: rule_effect.of_new(each_team),
        **{name: partial(_look, reader, address) for name, address in pages.items()},
    }


def _reader() -> Client:
    reader = Client()
    user, _ = User.objects.get_or_create(username="ann")
    user.groups.add(Group.objects.get_or_create(name="operators")[0])
    reader.force_login(user)
    return reader


def acts() -> dict[str, Callable[[], Act]]:
    """What is done and looked at, by what it is: each is prepared, and returns the act itself."""
    reader = _reader()
    queued = Run.objects.filter(state=states.QUEUED).order_by("id")[LAUNCHED // 2]
    op_row = a.in_state(states.READY)[LAUNCHED]
    following = Run.objects.latest("id").pk
    pages = {
        "the overview": "/",
        # The first page counts them besides, up to `filters.MOST_COUNTED`.
        "a page of runs": f"/runs/?before={following}",
        "a page of queued runs": f"/runs/?group=queued&before={following}",
        "a page of those with a tag": f"/runs/?tag=tenant&before={following}",
        "a page of those with a tag's value": f"/runs/?tag=tenant%3Dtenant-1&before={following}",
        "the pools page": "/pools/",
        "a pool's page": "/pools/database/",
        "when those in its line start": "/pools/database/likely/",
        "the queue page": "/queue/",
        "its limits": "/queue/limits/",
        "the jobs page": "/jobs/",
        "a queued run's page": f"/runs/{queued.uid}/",
        "a run's page": f"/runs/{op_row.run.uid}/",
        "an op's page": f"/runs/{op_row.run.uid}/ops/{op_row.key}/",
        "the page of what would start a run": f"/runs/{queued.uid}/sooner/",
        "the page of what would start an op": f"/runs/{op_row.run.uid}/ops/{op_row.key}/sooner/",
    }
    return {
        "a completion that admits the next": _completion,
        "a start": _start,
        "a launch": lambda: lambda: a.launched_run(_small(), tags=_tags(1)),
        "why a run is queued, and what would start it": lambda: lambda: sooner.of(_known(why.of_run(queued))),
        "why an op waits, and what would start it": lambda: lambda: sooner.of(_known(why.of_op(op_row))),
        **{name: partial(_look, reader, address) for name, address in pages.items()},
    }


def _known(reasons: why.Why | None) -> why.Why:
    assert reasons, "it waits"
    return reasons


def _completion() -> Act:
    _start_admitted()
    running = a.in_state(states.RUNNING)
    assert len(running) == AT_WORK
    return lambda: a.end(running[0])


def _start() -> Act:
    (admitted,) = a.in_state(states.ADMITTED) or [None]
    assert admitted, "an op was admitted in place of the one that ended"
    return lambda: a.start(admitted)


def _look(reader: Client, address: str) -> Act:
    def look() -> None:
        response = reader.get(address)
        assert response.status_code == 200, response

    return look
