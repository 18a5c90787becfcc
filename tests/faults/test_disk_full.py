"""No room is left on a disk, for outputs, logs or the database: the op fails and says so, and the engine goes on."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.db.backends.signals import connection_created

from pools import claims
from pools.models import Hold
from runs import catalog, launch, outputs, states
from runs.models import LogLine, OpOutput, Run
from tests.builders import (
    admitted_op,
    carry_out_all,
    in_state,
    launched_run,
    perform,
    state_of,
    states_of,
    the_op,
    workers,
)
from tests.invariants import check_audit
from tests.plugin import DATABASE
from tests.processes import in_a_process

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

only_sqlite = pytest.mark.skipif(DATABASE != "sqlite", reason="only SQLite can be told how large a file may be")


class FullDisk(FileSystemStorage):
    """A folder for outputs on a disk that is full: the kernel itself refuses every byte."""

    def _save(self, name: str, content: File) -> str:
        with open("/dev/full", "wb") as file:
            for chunk in content.chunks():
                file.write(chunk)
        return name


def carry_out(run: Run) -> None:
    """Run the admitted op of a run in a process of its own."""
    (op_row,) = in_state(states.ADMITTED, run)
    in_a_process(partial(perform, op_row.pk, op_row.token or 0))


def launched(name: str, **values: Any) -> Run:
    return launched_run(launch.find_job(catalog.current(), name), values=values)


def goes_on() -> None:
    """Nothing is held any more, and the next run is carried out."""
    assert not Hold.objects.filter(holder__startswith="op:").exists()
    after = launched("one_op")
    carry_out(after)
    assert state_of(after) == "success"


# --- outputs ----------------------------------------------------------------------------------------


def test_an_op_whose_value_finds_no_room_fails_and_says_so(settings) -> None:
    settings.STORAGES = {**settings.STORAGES, "outputs": {"BACKEND": f"{__name__}.FullDisk"}}
    workers(1)
    run = launched("values", kind="big")
    carry_out(run)
    assert states_of(run) == {"gives": "failure", "takes": "skipped"}
    assert the_op(run, "gives").error == "its value can't be written: [Errno 28] No space left on device"
    assert not OpOutput.objects.exists()
    goes_on()


def test_what_was_written_of_a_value_before_the_disk_was_full_is_removed() -> None:
    def pack() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            outputs.pack("x" * 200_000, "a-run/an-op")
        except outputs.CannotStore as error:
            return str(error)
        return "it was written"

    assert "File too large" in in_a_process(pack)
    assert not (Path(settings.DATA_DIR) / "outputs" / "a-run" / "an-op.pickle").exists()


# --- logs -------------------------------------------------------------------------------------------


@pytest.fixture
def little_room() -> Iterator[None]:
    """The database takes some hundred lines, and no more."""
    if DATABASE == "sqlite":
        yield from _little_room_on_sqlite(60)
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF (SELECT count(*) FROM runs_logline) > 300 THEN"
            " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';"
            " END IF; RETURN NEW; END $$"
        )
        cursor.execute("CREATE TRIGGER no_room BEFORE INSERT ON runs_logline FOR EACH ROW EXECUTE FUNCTION no_room()")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER no_room ON runs_logline")
        cursor.execute("DROP FUNCTION no_room")


def _little_room_on_sqlite(pages: int) -> Iterator[None]:
    """Each connection that is made from now on may let the file grow by so many pages."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        most = cursor.fetchone()[0] + pages

    def limit(connection: Any, **_: Any) -> None:
        connection.cursor().execute(f"PRAGMA max_page_count = {most}")

    connection_created.connect(limit)
    yield
    connection_created.disconnect(limit)
    connection.close()


@pytest.mark.usefixtures("little_room")
def test_an_op_whose_log_finds_no_room_fails_and_says_so() -> None:
    workers(1)
    run = launched("one_floods")
    carry_out(run)
    said = {"sqlite": "database or disk is full", "postgres": "could not extend file: No space left on device"}
    assert the_op(run).error == f"what it said can't be kept: {said[DATABASE]}"
    assert (state_of(run), Run.objects.get().state) == ("failure", "failure")
    assert not OpOutput.objects.exists()
    LogLine.objects.all().delete()  # somebody makes room
    goes_on()


# --- the database -----------------------------------------------------------------------------------


def until_it_is_full(act: Callable[[], object]) -> int:
    """How often something could be done until there was no room for it."""
    for times in range(10_000):
        try:
            act()
        except claims.AWAY as error:
            if not claims.is_full(error):
                raise
            return times
    pytest.fail("it never was full")


@only_sqlite
def test_a_full_database_refuses_a_launch_and_loses_nothing() -> None:
    op_row = admitted_op()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # or there is room in the pages that other tests have left
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0] + 8}")
        launches = until_it_is_full(launched_run)
        check_audit()
        assert Run.objects.count() == 1 + launches
        assert state_of(op_row.run) == states.ADMITTED
        cursor.execute("PRAGMA max_page_count = 1000000")
    launched_run()
    assert len(carry_out_all(launches + 2)) == launches + 2 or Run.objects.filter(state="queued").exists()
