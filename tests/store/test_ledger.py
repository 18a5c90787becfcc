"""The change ledger: every change can be undone by a change, unless something newer was written about the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pools import queries, sizing
from pools.models import Change, Pool, PoolSettings
from pools.sizing import Author, Conflict, Overtaken
from runs import granularity, ledger, run_limits
from runs.ledger import CannotRevert, NoSuchChange
from runs.models import RunQueue, TagRule
from runs.tag_limits import TagLimit
from tests.builders import (
    ADA,
    in_state,
    job,
    launched_run,
    op,
    pool,
    running_op,
    started_run,
    tag_rule,
    workers,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked", "as_installed")]

BOB = Author("bob", "page")


def latest() -> Change:
    return Change.objects.latest("id")


def in_force() -> dict[str, object]:
    """All that people set, as values that can be compared."""
    settings = PoolSettings.objects.get()
    pools = Pool.objects.order_by("name").values_list("name", "limit", "description", "granularity", "paused_at")
    set_for = [(name, limit, text, kind, bool(since)) for name, limit, text, kind, since in pools]
    return {
        "pools": [row for row in set_for if row[1] is not None or any(row[2:])],
        "settings": (settings.default_limit, settings.granularity, settings.check_at_queue, settings.run_buffer),
        "maximum": RunQueue.objects.get().max_concurrent_runs,
        "rules": sorted(TagRule.objects.values_list("key", "value", "per_value", "limit"), key=repr),
    }


def paused() -> None:
    sizing.pause("database", Author("bob", "page", "the vendor is down"))


CHANGES: dict[str, tuple[list[Callable[[], object]], Callable[[], object]]] = {
    "a pool's limit": ([lambda: pool("database", 2)], lambda: pool("database", 5)),
    "a pool's first limit": ([], lambda: pool("database", 5)),
    "a pool's first limit of 0": ([lambda: sizing.set_default_limit(3, ADA)], lambda: pool("database", 0)),
    "a limit taken away": ([lambda: pool("database", 2)], lambda: sizing.unset_limit("database", ADA)),
    "a description": ([lambda: pool("database", 2)], lambda: sizing.describe("database", "y" * 500, ADA)),
    "a description removed": (
        [lambda: pool("database", 2), lambda: sizing.describe("database", "x" * 500, ADA)],
        lambda: sizing.describe("database", "", ADA),
    ),
    "paused": ([lambda: pool("database", 2)], paused),
    "a pool's granularity": (
        [lambda: pool("database", 2)],
        lambda: granularity.set_for_pool("database", "run", ADA),
    ),
    "a pool's granularity back to the default": (
        [lambda: granularity.set_for_pool("database", "run", ADA)],
        lambda: granularity.set_for_pool("database", None, ADA),
    ),
    "a pool deleted": ([lambda: pool("database", 2)], lambda: sizing.delete("database", ADA)),
    "a pool deleted with all it has": (
        [
            lambda: pool("database", 0),
            lambda: sizing.describe("database", "the main one", ADA),
            lambda: granularity.set_for_pool("database", "run", ADA),
        ],
        lambda: sizing.delete("database", ADA),
    ),
    "a pool deleted that had a description only": (
        [lambda: sizing.unset_limit(pool("database", 1).name, ADA), lambda: sizing.describe("database", "it", ADA)],
        lambda: sizing.delete("database", ADA),
    ),
    "the default limit": ([lambda: sizing.set_default_limit(2, ADA)], lambda: sizing.set_default_limit(7, ADA)),
    "the first default limit": ([], lambda: sizing.set_default_limit(7, ADA)),
    "no default limit": ([lambda: sizing.set_default_limit(0, ADA)], lambda: sizing.set_default_limit(None, ADA)),
    "the default granularity": ([], lambda: granularity.set_default("run", ADA)),
    "the run buffer": ([], lambda: sizing.set_run_buffer(3, ADA)),
    "the check at the queue": ([], lambda: sizing.set_check_at_queue(False, ADA)),
    "the check at the queue again": (
        [lambda: sizing.set_check_at_queue(False, ADA)],
        lambda: sizing.set_check_at_queue(True, ADA),
    ),
    "the maximum": ([], lambda: run_limits.set_maximum(3, ADA)),
    "the maximum lifted": ([], lambda: run_limits.set_maximum(-1, ADA)),
    "a maximum again": ([lambda: run_limits.set_maximum(-1, ADA)], lambda: run_limits.set_maximum(0, ADA)),
    "a rule's limit": ([lambda: tag_rule("team", 1)], lambda: tag_rule("team", 4)),
    "a rule for a value": ([], lambda: tag_rule("team", 1, "growth=x")),
    "a rule for any value": ([], lambda: tag_rule("team", 0)),
    "a rule for each value": ([], lambda: tag_rule("team", 1, per_value=True)),
    "a rule deleted": (
        [lambda: tag_rule("team", 0, per_value=True)],
        lambda: run_limits.delete_rule(TagRule.objects.get().pk, ADA),
    ),
    "a rule for the empty value deleted": (
        [lambda: tag_rule("team", 2, "")],
        lambda: run_limits.delete_rule(TagRule.objects.get().pk, ADA),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_kind_of_change_is_undone_and_done_again(what):
    before, change = CHANGES[what]
    for step in before:
        step()
    then = in_force()
    change()
    done, changed = latest(), in_force()
    assert changed != then

    undone = ledger.revert(done.pk, BOB)
    assert in_force() == then
    assert (undone.who, undone.door, undone.subject, undone.reverts_id) == ("bob", "page", done.subject, done.pk)
    assert undone.why.startswith(f"reverts change {done.pk}")

    for line in Change.objects.filter(reverts=done).order_by("-id"):
        ledger.revert(line.pk, ADA)
    assert in_force() == changed
    assert latest().before == undone.after or done.field == "deleted"


def test_every_field_of_the_ledger_can_be_undone():
    """What these tests change is all that is recorded: a new kind of change belongs here and in runs.ledger.

    Presets have tests of their own (tests/web).
    """
    for before, change in CHANGES.values():
        TagRule.objects.all().delete()
        for step in (*before, change):
            step()
    sizing.set_limit("database", 1, ADA)
    sizing.resume("database", ADA) if Pool.objects.get().paused_at else paused()
    recorded = {(change.subject.partition(":")[0], change.field) for change in Change.objects.all()}
    assert recorded == {(kind, field) for kind, field in ledger._UNDO if kind != "preset"}


def test_a_pause_that_ended_comes_back_with_its_reason():
    pool("database", 2)
    paused()
    sizing.resume("database", ADA)
    change = latest()
    ledger.revert(change.pk, BOB)
    again = Pool.objects.get()
    assert (again.paused_by, again.limit) == ("bob", 2)
    assert again.pause_reason == f"reverts change {change.pk}: the vendor is down"


def test_a_reason_of_its_own_is_kept():
    pool("database", 2)
    undone = ledger.revert(latest().pk, Author("bob", "cli", " too fast "))
    assert undone.why == f"reverts change {undone.reverts_id}: too fast"


def test_a_deleted_pool_comes_back_paused():
    pool("database", 2)
    paused()
    sizing.delete("database", ADA)
    ledger.revert(latest().pk, BOB)
    assert Pool.objects.get().paused_at is not None
    workers(1)
    assert launched_run(job(op("only", pool="database"))).state == "queued"


def test_an_undo_admits_whoever_fits():
    pool("database", 3)
    workers(3)
    pool("database", 1)
    lowered = latest()
    run = started_run(job(*[op(f"op_{n}", pool="database") for n in range(3)]))
    assert len(in_state("admitted", run)) == 1
    ledger.revert(lowered.pk, BOB)
    assert len(in_state("admitted", run)) == 3


def test_an_undone_rule_lets_go_whom_it_held_back_and_counts_again_when_it_is_back():
    tag_rule("team", 0)
    run = launched_run(tags={"team": "growth"})
    assert run.state == "queued"
    undone = ledger.revert(latest().pk, BOB)
    run.refresh_from_db()
    assert run.state == "started"
    ledger.revert(undone.pk, BOB)
    assert launched_run(tags={"team": "growth"}).state == "queued"


def test_a_deleted_pool_in_use_gets_its_limit_back_under_its_holders():
    pool("database", 1)
    running = running_op(op("only", pool="database"))
    sizing.delete("database", ADA)
    ledger.revert(latest().pk, BOB)
    assert (Pool.objects.get().limit, Pool.objects.get().gate.in_use) == (1, 1)
    assert running.state == "running"


# --- refused ----------------------------------------------------------------------------------------


def test_what_was_changed_since_is_not_undone():
    pool("database", 1)
    pool("database", 2)
    old = latest()
    sizing.set_limit("database", 3, Author("bob", "page", "night shift"))
    with pytest.raises(Conflict) as refused:
        ledger.revert(old.pk, ADA)
    assert refused.value.change == latest()
    assert str(refused.value) == (
        f"Change {old.pk} can't be undone: it was overtaken by change {latest().pk}, made by bob."
    )
    assert Pool.objects.get().limit == 3


def test_nothing_is_undone_twice():
    pool("database", 1)
    old = latest()
    ledger.revert(old.pk, BOB)
    with pytest.raises(Overtaken, match=r"it was undone by change \d+, made by bob"):
        ledger.revert(old.pk, ADA)
    assert Change.objects.count() == 2


def test_other_fields_and_other_subjects_don_t_stand_in_the_way():
    pool("database", 1)
    old = latest()
    sizing.describe("database", "it", ADA)
    pool("api", 3)
    ledger.revert(old.pk, ADA)
    assert (Pool.objects.get(name="database").limit, Pool.objects.get(name="database").description) == (None, "it")


def test_a_deletion_overtakes_everything_about_its_pool_and_anything_overtakes_a_deletion():
    pool("database", 1)
    limited = latest()
    sizing.describe("database", "it", ADA)
    described = latest()
    sizing.delete("database", ADA)
    deleted = latest()
    for old in (limited, described):
        with pytest.raises(Overtaken) as refused:
            ledger.revert(old.pk, ADA)
        assert refused.value.change == deleted
    pool("database", 9)
    with pytest.raises(Overtaken):
        ledger.revert(deleted.pk, ADA)
    assert Pool.objects.get().limit == 9


def test_who_comes_between_the_look_and_the_write_is_not_overwritten(monkeypatch):
    pool("database", 1)
    pool("database", 2)
    old = latest()
    look = ledger._refuse_if_overtaken

    def look_and_be_overtaken(change):
        look(change)
        pool("database", 7)

    monkeypatch.setattr(ledger, "_refuse_if_overtaken", look_and_be_overtaken)
    with pytest.raises(Overtaken) as refused:
        ledger.revert(old.pk, BOB)
    assert (refused.value.change.after, Pool.objects.get().limit) == ("7", 7)
    assert not Change.objects.filter(reverts=old).exists()


def test_a_rule_that_goes_between_the_look_and_the_write_is_no_surprise(monkeypatch):
    tag_rule("team", 1)
    old = latest()
    look = ledger._refuse_if_overtaken

    def look_and_be_overtaken(change):
        look(change)
        monkeypatch.setattr(ledger, "_refuse_if_overtaken", look)
        run_limits.delete_rule(TagRule.objects.get().pk, ADA)

    monkeypatch.setattr(ledger, "_refuse_if_overtaken", look_and_be_overtaken)
    with pytest.raises(Overtaken):
        ledger.revert(old.pk, BOB)


def test_what_is_not_there_or_says_nothing_can_not_be_undone():
    with pytest.raises(NoSuchChange, match="There is no change 77"):
        ledger.revert(77, ADA)
    tag_rule("team", 1)
    Change.objects.update(detail={})  # as written before the ledger kept a rule's identity
    with pytest.raises(CannotRevert, match="does not say enough"):
        ledger.revert(latest().pk, ADA)
    sizing.unset_limit(pool("bare", 1).name, ADA)
    sizing.delete("bare", ADA)
    with pytest.raises(CannotRevert, match="nothing to set back"):
        ledger.revert(latest().pk, ADA)
    assert not Pool.objects.exists()


def test_an_undo_that_would_deadlock_writes_nothing(monkeypatch):
    granularity.set_for_pool("database", "run", ADA)
    pool("database", 1)
    sizing.delete("database", ADA)
    deleted = latest()

    def refuse(*arguments):
        raise granularity.WouldDeadlock("two runs would wait for each other")

    monkeypatch.setattr(granularity, "refuse_deadlock", refuse)
    with pytest.raises(granularity.WouldDeadlock):
        ledger.revert(deleted.pk, BOB)
    assert latest() == deleted
    assert not Pool.objects.exists()


# --- names ------------------------------------------------------------------------------------------


def test_rules_that_read_alike_have_ledgers_of_their_own():
    alike = [
        (TagLimit("each team", 1), TagLimit("team", 1, per_value=True)),
        (TagLimit("a=b", 1), TagLimit("a", 1, "b")),
        (TagLimit("a=b", 1, "c"), TagLimit("a", 1, "b=c")),
        (TagLimit("long", 1, "x" * 500), TagLimit("long", 1, "x" * 499 + "y")),
    ]
    for first, second in alike:
        assert run_limits.subject(first) != run_limits.subject(second)
        assert max(len(run_limits.subject(rule)) for rule in (first, second)) <= 300
        run_limits.set_rule(first, ADA)
        added = latest()
        run_limits.set_rule(second, ADA)
        ledger.revert(added.pk, BOB)
        assert run_limits.find(second.__dict__) is not None
        assert run_limits.find(first.__dict__) is None


# --- reading ----------------------------------------------------------------------------------------


def test_the_ledger_is_read_by_pages_and_says_what_can_be_undone():
    pool("database", 1)
    pool("database", 2)
    sizing.describe("database", "it", ADA)
    pool("api", 1)
    found = queries.changes(most=10)
    assert [(change.subject, change.field, change.overtaken) for change in found] == [
        ("pool:api", "limit", False),
        ("pool:database", "description", False),
        ("pool:database", "limit", False),
        ("pool:database", "limit", True),
    ]
    assert queries.changes(most=2, before=found[1].pk) == found[2:]
    assert [change.pk for change in queries.changes("pool:api")] == [found[0].pk]
    sizing.delete("database", ADA)
    assert [change.overtaken for change in queries.changes("pool:database")] == [False, True, True, True]
    pool("database", 1)
    assert [change.overtaken for change in queries.changes("pool:database")][:2] == [False, True]
