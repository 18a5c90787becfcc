"""Turns at SQLite's write lock: a process forked within a transaction neither keeps the turn nor gives it away."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connection, transaction

from runs.parentage import die_with
from tests.plugin import DATABASE

pytestmark = [
    pytest.mark.skipif(DATABASE != "sqlite", reason="PostgreSQL keeps its locks itself"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("engine"),
]


@contextmanager
def forked(act: Callable[[], object] = lambda: None) -> Iterator[None]:
    """A child, as an op's code may fork one at any moment: it has acted and stays, until the context is left."""
    parent, (read, write) = os.getpid(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            die_with(parent)
            act()
            os.write(write, b"x")
            signal.pause()
        finally:
            os._exit(1)
    os.close(write)
    try:
        assert os.read(read, 1) == b"x", "the child died"
        yield
    finally:
        os.close(read)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def somebody_has_the_turn() -> bool:
    file = os.open(f"{connection.settings_dict['NAME']}.lock", os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def test_a_transaction_has_the_turn_until_it_ends():
    with transaction.atomic():
        assert somebody_has_the_turn()
    assert not somebody_has_the_turn()


def test_a_process_forked_within_a_transaction_keeps_nobody_waiting_after_it():
    with ExitStack() as children:
        with transaction.atomic():
            children.enter_context(forked())
        assert not somebody_has_the_turn()


def test_a_process_forked_within_a_transaction_does_not_end_its_parents_turn():
    with transaction.atomic(), forked(lambda: connection._give_turn()):
        assert somebody_has_the_turn()
    assert not somebody_has_the_turn()


def test_a_process_forked_within_a_transaction_does_not_take_its_parents_turn_for_its_own():
    with transaction.atomic():
        pid = os.fork()
        if pid == 0:
            signal.alarm(1)  # ends it while it waits
            connection._take_turn()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGALRM
