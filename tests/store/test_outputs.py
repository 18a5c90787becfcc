"""What ops return: JSON in the database, anything else a signed file that only we can have written."""

from __future__ import annotations

import json
import pickle
import stat
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from runs import outputs
from runs.models import OpOutput
from runs.outputs import CannotLoad, CannotStore
from runs.verdict import Verdict
from tests.builders import end, job, op, running_op, start, started_run, the_op, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked", "outputs_folder")]


def files(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "value",
    [0, -1, 10**30, "", "ü\u0000", True, 2.5, [], {}, [1, [2, {"a": None}]], {"rows": 3, "names": ["x"]}],
)
def test_a_small_json_value_lives_in_the_database(value, outputs_folder):
    body = outputs.pack(value, "run/op-1")
    assert json.loads(body) == {"json": value}
    again = outputs.unpack(body)
    assert again == value
    assert type(again) is type(value)
    assert files(outputs_folder) == []


def test_none_is_nothing_to_keep():
    assert outputs.pack(None, "run/op-1") is None


@pytest.mark.parametrize(
    "value",
    [(1, 2), {1: "one"}, b"\x00", {1, 2}, float("inf"), [(1,)], {"a": (1,)}, "x" * 70_000, 10**5000, ["é" * 30_000]],
    ids=["tuple", "keys", "bytes", "set", "infinity", "nested", "deep", "long", "huge number", "many bytes"],
)
def test_anything_else_is_a_file_and_comes_back_as_it_was(value, outputs_folder):
    body = outputs.pack(value, "run/op-1")
    stored = json.loads(body)
    assert set(stored) == {"file", "mac"}
    assert len(body) < 1000
    again = outputs.unpack(body)
    assert again == value
    assert type(again) is type(value)
    (path,) = files(outputs_folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


class Text(str):
    pass


def test_a_subclass_is_not_taken_for_json():
    assert type(outputs.unpack(outputs.pack(Text("a"), "run/op-1"))) is Text


def test_the_limit_counts_bytes():
    room = outputs.INLINE_BYTES - len('{"json": ""}')
    assert "json" in json.loads(outputs.pack("x" * room, "n"))
    assert "file" in json.loads(outputs.pack("x" * (room + 1), "n"))


@pytest.mark.parametrize("value", [lambda: 0, open(__file__)], ids=["lambda", "file"])  # noqa: SIM115
def test_what_can_not_be_pickled_says_why(value):
    with pytest.raises(CannotStore, match=r"its value of type \w+ can't be pickled"):
        outputs.pack(value, "run/op-1")


def test_a_storage_that_refuses_says_why(outputs_folder):
    (outputs_folder / "run").write_text("a file where a folder should be")
    with pytest.raises(CannotStore, match="its value can't be written"):
        outputs.pack((1,), "run/op-1")


# --- only what this deployment wrote is loaded ------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a file that we did not write was loaded",))


def test_a_file_that_was_changed_is_not_loaded(outputs_folder):
    body = outputs.pack((1, 2), "run/op-1")
    files(outputs_folder)[0].write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CannotLoad, match="was not written by this deployment; it is not loaded"):
        outputs.unpack(body)


def test_a_file_in_the_place_of_another_is_not_loaded(outputs_folder):
    first, second = outputs.pack((1,), "run/a-1"), outputs.pack((2,), "run/b-1")
    a, b = (json.loads(body)["file"] for body in (first, second))
    (outputs_folder / a).write_bytes((outputs_folder / b).read_bytes())
    with pytest.raises(CannotLoad):
        outputs.unpack(first)


def test_a_row_that_names_another_file_is_not_believed():
    body = outputs.pack((1,), "run/a-1")
    name = storages["outputs"].save("bomb.pickle", ContentFile(pickle.dumps(Bomb())))
    with pytest.raises(CannotLoad):
        outputs.unpack(json.dumps({**json.loads(body), "file": name}))


def test_another_secret_key_is_another_deployment(settings):
    body = outputs.pack((1,), "run/a-1")
    settings.SECRET_KEY = "another"
    with pytest.raises(CannotLoad):
        outputs.unpack(body)


def test_a_file_that_is_gone_says_so(outputs_folder):
    body = outputs.pack((1,), "run/a-1")
    files(outputs_folder)[0].unlink()
    with pytest.raises(CannotLoad, match="can't be read"):
        outputs.unpack(body)


def test_two_values_of_one_name_are_two_files():
    bodies = [outputs.pack((n,), "run/a-1") for n in range(2)]
    assert [outputs.unpack(body) for body in bodies] == [(0,), (1,)]


# --- values of runs ---------------------------------------------------------------------------------


def test_the_values_of_a_run_are_found_by_step_key():
    workers(3)
    run = started_run(job(op("a"), op("b"), op("c")))
    for key, value in (("a", {"x": 1}), ("b", (1, 2)), ("c", None)):
        start(the_op(run, key))
        end(the_op(run, key), Verdict.success(outputs.pack(value, f"{run.uid}/{key}")))
    assert outputs.of_run(run.pk, {"a", "b", "c"}) == {"a": {"x": 1}, "b": (1, 2), "c": None}
    assert outputs.of_run(run.pk, {"a"}) == {"a": {"x": 1}}
    assert OpOutput.objects.count() == 2


def test_the_output_of_a_retried_op_is_that_of_the_attempt_that_succeeded():
    running = running_op()
    end(running, Verdict.failure("no", retry_in=0))
    start(running)
    end(running, Verdict.success(outputs.pack(2, "n")))
    assert outputs.of_run(running.run_id, {"only"}) == {"only": 2}
