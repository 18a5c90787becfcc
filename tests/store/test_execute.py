"""One attempt of a real op, in this process: inputs, verdict, output, and what it said."""

from __future__ import annotations

import json
import signal
import threading

import pytest
from django.core.files.storage import storages
from django.db.utils import OperationalError

from runs import catalog, interrupts, launch, outputs, plans, recover, states, transitions
from runs.models import LogLine, Op, OpEvent, OpOutput, Run
from runs.verdict import Verdict
from tests.builders import (
    carry_out,
    end,
    in_state,
    lapse,
    launched_run,
    op,
    perform,
    start,
    state_of,
    states_of,
    the_op,
    workers,
)
from tests.builders import job as job_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked", "outputs_folder")]


def launched(name, **values):
    workers(9)
    return launched_run(launch.find_job(catalog.current(), name), values=values)


def work():
    """Run whatever is admitted, to its verdict, until nothing is."""
    while admitted := in_state(states.ADMITTED):
        perform(admitted[0].pk, admitted[0].token)


def value(run, key):
    return outputs.of_run(run.pk, {key})[key]


def lines(run, key=None):
    found = LogLine.objects.filter(run=run).order_by("id")
    return list((found.filter(op__key=key) if key else found).values_list("level", "text"))


# --- values -----------------------------------------------------------------------------------------


def test_values_flow_from_op_to_op():
    run = launched("sums")
    work()
    run.refresh_from_db()
    assert run.state == "success"
    assert value(run, "numbers") == [1, 2, 3]
    assert value(run, "joined") == "6-6-None"


@pytest.mark.parametrize(
    ("kind", "type_name"),
    [
        ("json", "dict"),
        ("none", "NoneType"),
        ("tuple", "tuple"),
        ("keys", "dict"),
        ("bytes", "bytes"),
        ("nan", "float"),
        ("big", "str"),
        ("huge number", "int"),
        ("set", "set"),
    ],
)
def test_any_value_reaches_the_next_op_as_it_was(kind, type_name):
    run = launched("values", kind=kind)
    work()
    assert states_of(run) == {"gives": "success", "takes": "success"}
    assert value(run, "takes") == repr(type_name)


@pytest.mark.parametrize("kind", ["unpicklable", "lambda"])
def test_a_value_that_can_not_be_stored_fails_the_op_and_says_why(kind):
    run = launched("values", kind=kind)
    work()
    assert states_of(run) == {"gives": "failure", "takes": "skipped"}
    failed = the_op(run, "gives")
    assert "can't be pickled" in failed.error
    assert ("ERROR", f"The op ended, but {failed.error}") in lines(run, "gives")


def test_a_large_value_is_in_a_file_under_the_runs_name():
    run = launched("values", kind="big")
    work()
    stored = json.loads(OpOutput.objects.get(op__key="gives").body)
    assert stored["file"].startswith(f"{run.uid}/gives-")


def test_an_asset_outside_the_selection_gives_its_last_value():
    both = launch.find_assets(catalog.current(), ["base", "derived"])
    alone = launch.find_assets(catalog.current(), ["derived"])
    workers(2)
    first = launched_run(alone)
    work()
    assert the_op(first).error == (
        "CannotLoad: asset base has no value yet and is not part of this run; launch it first"
    )
    launched_run(both)
    work()
    third = launched_run(alone)
    work()
    assert value(third, "derived") == 8
    assert Run.objects.filter(state="success").count() == 2


def test_the_last_value_of_an_asset_is_that_of_its_last_success():
    workers(1)
    only = launch.find_assets(catalog.current(), ["base"])
    for rows in (1, 2):
        launched_run(only)
        (op_row,) = in_state(states.ADMITTED)
        start(op_row)
        end(op_row, Verdict.success(json.dumps({"json": {"rows": rows}})))
    launched_run(only)
    (op_row,) = in_state(states.ADMITTED)
    start(op_row)
    end(op_row, Verdict.failure("no"))
    assert outputs.last_of_asset("base") == {"rows": 2}
    with pytest.raises(outputs.CannotLoad):
        outputs.last_of_asset("derived")


def test_an_op_knows_who_it_is():
    run = launched("about_itself", kind="tuple")
    work()
    assert value(run, "tells") == [
        "about_itself", "tells", 1, {"team": "growth"}, {}, "tuple", "OpExecutionContext",
    ]  # fmt: skip


# --- verdicts ---------------------------------------------------------------------------------------


def test_whatever_an_op_raises_is_its_verdict():
    run = launched("ends")
    work()
    assert states_of(run) == {
        "raises": "failure",
        "exits": "failure",
        "is_async": "success",
        "third_time": "success",
        "later": "up_for_retry",
    }
    errors = dict(Op.objects.filter(run=run).values_list("key", "error"))
    assert errors["raises"] == "ValueError: not today"
    assert errors["exits"] == "SystemExit: 3"
    assert errors["later"] == "RuntimeError: try later"
    assert value(run, "is_async") == "later"
    assert value(run, "third_time") == 2
    assert the_op(run, "third_time").attempt == 3


@pytest.mark.parametrize("said", ["not \0 today", "not \udce9 today"])
def test_an_error_that_no_database_keeps_is_a_verdict_all_the_same(instead, said):
    run = launched("one_op")

    def breaks():
        raise ValueError(said)

    instead(run, "nothing", breaks)
    work()
    assert state_of(run) == "failure"
    assert the_op(run).error == "ValueError: not � today"


def test_the_traceback_begins_in_the_ops_own_code():
    run = launched("ends")
    work()
    said = "\n".join(text for _, text in lines(run, "raises"))
    assert "The attempt failed." in said
    assert 'raise ValueError("not today' in said
    assert "execute.py" not in said


def test_each_line_names_its_attempt():
    run = launched("ends")
    work()
    found = LogLine.objects.filter(run=run, op__key="third_time", text__startswith="RuntimeError")
    assert list(found.order_by("id").values_list("attempt", "text")) == [
        (1, "RuntimeError: attempt 1"),
        (2, "RuntimeError: attempt 2"),
    ]


def test_an_op_whose_code_is_gone_fails_and_says_what_is_loaded():
    workers(1)
    run = launched_run(job_of(op("vanished"), name="gone"))
    work()
    assert the_op(run).error == (
        "DefinitionError: op vanished of job gone is not defined in what this worker has loaded: tests.jobs."
    )


def test_a_stale_ticket_runs_nothing():
    run = launched("one_op")
    op_row = the_op(run)
    assert perform(op_row.pk, op_row.token + 1).verdict is None
    assert state_of(run) == "admitted"
    assert perform(op_row.pk, op_row.token).verdict is not None
    assert perform(op_row.pk, op_row.token).verdict is None
    assert the_op(run).attempt == 1


def test_a_start_whose_answer_was_lost_goes_on(monkeypatch):
    """The database committed it and its answer did not arrive: asked again, it must know its own attempt."""
    (worker,) = workers(1)
    run = launched_run(launch.find_job(catalog.current(), "one_op"))
    op_row = the_op(run)
    real, answers = transitions.start, []

    def loses_the_first_answer(*of):
        answers.append(real(*of))
        if len(answers) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return answers[-1]

    monkeypatch.setattr(transitions, "start", loses_the_first_answer)
    assert perform(op_row.pk, op_row.token, worker.pk).verdict == Verdict.success()
    assert answers[0] == answers[1]
    assert (state_of(run), the_op(run).attempt) == ("success", 1)


def test_a_verdict_whose_answer_was_lost_was_given_and_its_file_is_kept(monkeypatch, instead):
    """The database committed it and its answer did not arrive: told again, it must know its own verdict."""
    run = launched("sums")
    op_row = the_op(run, "numbers")
    instead(run, "numbers", lambda: {1, 2})
    real, answers = transitions.complete, []

    def loses_the_first_answer(*of):
        answers.append(real(*of))
        if len(answers) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return answers[-1]

    monkeypatch.setattr(transitions, "complete", loses_the_first_answer)
    done = perform(op_row.pk, op_row.token)
    assert done.verdict is not None
    assert answers == [True, True]
    assert not OpEvent.objects.filter(kind="late").exists()
    assert outputs.of_run(run.pk, {"numbers"}) == {"numbers": {1, 2}}


def test_a_verdict_that_comes_too_late_is_dropped(instead):
    run = launched("sums")
    op_row = the_op(run, "numbers")

    def its_lease_runs_out():
        lapse(op_row)
        recover.expire_leases()
        return [9]

    instead(run, "numbers", its_lease_runs_out)
    assert perform(op_row.pk, op_row.token).verdict is None
    assert states_of(run)["numbers"] == "failure"
    assert not OpOutput.objects.exists()
    late = OpEvent.objects.filter(kind="late").latest("id")
    assert (late.op, late.attempt, late.text) == (op_row, 1, "its result came too late and was refused: success")


def test_the_file_of_a_value_that_comes_too_late_is_removed(instead):
    run = launched("sums")
    op_row = the_op(run, "numbers")

    def its_lease_runs_out():
        lapse(op_row)
        recover.expire_leases()
        return {1, 2}

    instead(run, "numbers", its_lease_runs_out)
    assert perform(op_row.pk, op_row.token).verdict is None
    _, files = storages["outputs"].listdir(run.uid)
    assert files == []


@pytest.fixture
def instead(monkeypatch):
    """Lets an op of a job do something else for the time of a test."""

    def replace(run, key, fn):
        definition = catalog.current().definition(run.job, plans.load(run.plan_id).by_key[key])
        monkeypatch.setitem(definition.__dict__, "fn", fn)

    return replace


# --- interruption -----------------------------------------------------------------------------------


@pytest.fixture
def interruptible_process():
    before = signal.getsignal(interrupts.SIGNAL)
    interrupts.install()
    yield
    signal.signal(interrupts.SIGNAL, before)
    interrupts._asked = False


def interrupt():
    signal.pthread_kill(threading.main_thread().ident, interrupts.SIGNAL)


@pytest.mark.usefixtures("interruptible_process")
def test_an_interrupted_op_goes_back_in_line(instead):
    run = launched("one_op")
    op_row = the_op(run)

    def stops():
        interrupt()
        raise AssertionError("the signal interrupts at once")

    instead(run, "nothing", stops)
    assert perform(op_row.pk, op_row.token).verdict is None
    again = the_op(run)
    assert (again.state, again.attempt) == ("admitted", 0)
    assert again.token != op_row.token
    assert lines(run) == [("WARNING", "The attempt was interrupted.")]


@pytest.mark.usefixtures("interruptible_process")
def test_a_signal_before_the_ops_code_begins_is_not_lost():
    run = launched("one_op")
    op_row = the_op(run)
    interrupt()
    assert perform(op_row.pk, op_row.token).verdict is None
    assert (the_op(run).state, the_op(run).attempt) == ("admitted", 0)


@pytest.mark.usefixtures("interruptible_process")
def test_an_interrupted_op_of_a_run_being_canceled_is_canceled(instead):
    run = launched("one_op")
    op_row = the_op(run)

    def stops():
        transitions.cancel_run(run.pk, "ada")
        interrupt()

    instead(run, "nothing", stops)
    perform(op_row.pk, op_row.token)
    run.refresh_from_db()
    assert (run.state, state_of(run)) == ("canceled", "canceled")


@pytest.mark.usefixtures("interruptible_process")
def test_code_that_swallows_exceptions_is_interrupted_all_the_same():
    with pytest.raises(interrupts.Interrupted), interrupts.interruptible():
        try:
            interrupt()
        except Exception:
            pytest.fail("Interrupted must not be an Exception")


@pytest.mark.usefixtures("interruptible_process")
def test_a_second_signal_does_not_interrupt_what_follows_the_first():
    """The launcher repeats its word until the op has ended: also while the op cleans up, and is given back."""
    with pytest.raises(interrupts.Interrupted), interrupts.interruptible():
        try:
            interrupt()
        finally:
            interrupt()
            cleaned_up = True
    assert cleaned_up
    interrupt()


@pytest.mark.usefixtures("interruptible_process")
def test_a_signal_that_comes_while_the_ops_code_is_left_does_not_come_again():
    left = interrupts.interruptible()
    left.__enter__()
    with pytest.raises(interrupts.Interrupted):
        interrupt()
    interrupt()  # what entered has not been left yet: nothing has run between the two


@pytest.mark.usefixtures("interruptible_process")
def test_outside_the_ops_code_a_signal_raises_nothing():
    interrupt()
    with pytest.raises(interrupts.Interrupted), interrupts.interruptible():
        pytest.fail("it takes effect when the op's code begins")


def test_ops_after_each_other_in_one_process():
    first, second = launched("sums"), launched("one_op")
    work()
    for run in (first, second):
        run.refresh_from_db()
        assert run.state == "success"
    with pytest.raises(AssertionError):
        carry_out(the_op(second))
