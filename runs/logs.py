"""Keeps what an op says while it runs: context.log, logging, and whatever reaches stdout and stderr.

Lines are written to the database a moment after they were said, so that they can be read while the op
runs; the rest when it ends. What a child process of the op prints is caught as well.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType

from django.db import connection

from pools import claims
from runs import tickets, transitions
from runs.definitions.checks import storable
from runs.patience import patiently
from runs.transitions import Attempt

LONGEST_LINE = 8_000  # characters; what is beyond is cut and counted
WRITE_AFTER = 0.3  # seconds that a line may wait before it is written
WRITE_AGAIN_AFTER = 1.0  # seconds, while the database is away
MOST_WAITING = 5_000  # lines; whoever says more waits until some are written
STDOUT, STDERR = "STDOUT", "STDERR"  # levels of what was printed


class Capture:
    """Catches everything that is said in this process between `start` and `stop`."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.logger = logging.getLogger("op")
        self._lines: list[tuple[datetime, str, str]] = []
        self._room = threading.Condition()
        self._handler = _Handler(self)
        self._streams: dict[int, _Stream] = {}
        self._wake_read, self._wake_write = -1, -1
        self._stopping = False
        self._pid = 0
        self._is_late = False
        self.problem = ""  # why something that was said can't be kept

    def start(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.getpid()
        self._outside = os.dup(2)  # for what is to be said about the capture itself
        root = logging.getLogger()
        self._root_handlers, root.handlers = root.handlers, [self._handler]
        self._level, self.logger.level = self.logger.level, logging.DEBUG
        for descriptor, level in ((1, STDOUT), (2, STDERR)):
            stream = _Stream(descriptor, level)
            self._streams[stream.read_end] = stream
        self._wake_read, self._wake_write = os.pipe()
        self._pump = threading.Thread(target=self._run, name="log-pump", daemon=True)
        self._pump.start()

    def stop(self) -> None:
        """Catch no more, and write what is left. In the caller's thread: it has a database connection."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass  # the op closed it
        for entry in self._streams.values():
            entry.restore()
        self._stopping = True
        os.write(self._wake_write, b"x")
        self._pump.join()
        for entry in self._streams.values():
            for level, text in entry.rest():
                self._append(datetime.now(UTC), level, text)
            entry.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        logging.getLogger().handlers = self._root_handlers
        self.logger.level = self._level
        try:
            patiently(self._write)
        except claims.AWAY as error:
            self._lost(self._lines, error)
        os.close(self._outside)

    def say(self, at: datetime, level: str, text: str) -> None:
        """Keep a text, line by line. Called from the op's threads; waits while too much is unwritten.

        A process that the op forked has no pump: it says it where ours listens.
        """
        if os.getpid() != self._pid:
            os.write(2, f"{text}\n".encode(errors="replace"))
            return
        with self._room:
            if threading.current_thread() is not self._pump:
                self._room.wait_for(lambda: len(self._lines) < MOST_WAITING or self._stopping)
            first = not self._lines
            for line in text.splitlines() or [""]:
                self._append(at, level, line)
        if first:
            os.write(self._wake_write, b"x")

    def _append(self, at: datetime, level: str, text: str) -> None:
        if len(text) > LONGEST_LINE:
            text = f"{text[:LONGEST_LINE]}… ({len(text) - LONGEST_LINE} more characters)"
        self._lines.append((at, level, storable(text)))

    def _run(self) -> None:
        """The pump: read what is printed, and write lines once they have waited long enough.

        While too much is unwritten, because the database is away, it reads nothing: whoever prints waits.
        """
        write_at: float | None = None
        try:
            while not self._stopping:
                timeout = None if write_at is None else max(0.0, write_at - time.monotonic())
                streams = self._streams if len(self._lines) < MOST_WAITING else ()
                readable, _, _ = select.select([*streams, self._wake_read], [], [], timeout)
                if self._wake_read in readable:
                    os.read(self._wake_read, 4096)
                for descriptor in readable:
                    if descriptor in self._streams:
                        for level, text in self._streams[descriptor].lines():
                            self.say(datetime.now(UTC), level, text)
                if self._lines and write_at is None:
                    write_at = time.monotonic() + WRITE_AFTER
                if write_at is not None and time.monotonic() >= write_at:
                    write_at = None if self._wrote() else time.monotonic() + WRITE_AGAIN_AFTER
        finally:
            connection.close()

    def _wrote(self) -> bool:
        """Write, unless the database is away."""
        try:
            self._write()
        except claims.AWAY as error:
            self._say_outside(f"what op {self.attempt.op_id} says waits for the database: {error}")
            connection.close()
            return False
        return True

    def _write(self) -> None:
        """Write what was said. Raises claims.AWAY when the database is away: it is kept for the next time."""
        with self._room:
            lines, self._lines = self._lines, []
            self._room.notify_all()
        if not lines or self.problem:  # on a full disk, what little room there is is left to the verdict
            return
        of = self.attempt
        try:
            if transitions.keep_log(of.run_id, of.op_id, of.token, of.number, lines):
                tickets.announce({f"log:{of.run_id}"})
            else:
                self._refused()
        except Exception as error:  # whatever it is: the pump goes on, and the op too
            if isinstance(error, claims.AWAY) and not claims.is_full(error):
                with self._room:
                    self._lines[:0] = lines
                raise
            self._lost(lines, error)

    def _lost(self, lines: Sequence[tuple[datetime, str, str]], error: Exception) -> None:
        reason = str(error).partition("\n")[0]
        self._say_outside(f"{len(lines)} log lines of op {self.attempt.op_id} are lost: {reason}")
        if claims.is_full(error):
            self.problem = f"what it said can't be kept: {reason}"[:500]
        connection.close()

    def _refused(self) -> None:
        """The attempt has been fenced: what it says does not count any more. That it spoke is recorded, once."""
        if not self._is_late:
            self._is_late = True
            transitions.note_late(self.attempt.op_id, self.attempt.number, "what it logged came too late")

    def _say_outside(self, text: str) -> None:
        try:
            os.write(self._outside, f"{text}\n".encode(errors="replace"))
        except OSError:
            pass  # nobody listens


class _Handler(logging.Handler):
    """Hands log records to the capture."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._capture = capture

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            self._capture.say(datetime.fromtimestamp(record.created, UTC), record.levelname[:10], text)
        except Exception:
            self.handleError(record)


class _Stream:
    """A file descriptor that leads into a pipe until it is restored."""

    def __init__(self, descriptor: int, level: str) -> None:
        self.level = level
        self._descriptor = descriptor
        self._saved = os.dup(descriptor)
        self.read_end, write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        os.dup2(write_end, descriptor)
        os.close(write_end)
        self._partial = b""
        text = sys.stdout if descriptor == 1 else sys.stderr
        if hasattr(text, "reconfigure"):
            text.reconfigure(line_buffering=True)

    def lines(self) -> Iterator[tuple[str, str]]:
        """The whole lines that have arrived."""
        while True:
            try:
                data = os.read(self.read_end, 65536)
            except BlockingIOError:
                return
            if not data:
                return
            *whole, self._partial = (self._partial + data).split(b"\n")
            for line in whole:
                yield self.level, line.decode(errors="replace")
            if len(self._partial) > LONGEST_LINE:
                yield self.level, self._partial.decode(errors="replace")
                self._partial = b""

    def restore(self) -> None:
        os.dup2(self._saved, self._descriptor)
        os.close(self._saved)

    def rest(self) -> Iterator[tuple[str, str]]:
        """What is left in the pipe; a child of the op may still hold the other end, so not until its end."""
        yield from self.lines()
        if self._partial:
            yield self.level, self._partial.decode(errors="replace")

    def close(self) -> None:
        os.close(self.read_end)


@contextmanager
def capture(attempt: Attempt, problems: list[str] | None = None) -> Iterator[logging.Logger]:
    """Catch what is said inside; yields the logger for `context.log`.

    Afterwards `problems` has the reason why something that was said could not be kept, if the disk was full.
    """
    caught = Capture(attempt)
    caught.start()
    try:
        yield caught.logger
    finally:
        caught.stop()
        if problems is not None and caught.problem:
            problems.append(caught.problem)


def say_traceback(logger: logging.Logger, error: BaseException, ours: str) -> None:
    """Log an op's error with its traceback from the op's own code on: frames of the file `ours` are left out."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == ours:
        trace = trace.tb_next
    logger.error("The attempt failed.", exc_info=(type(error), error, trace))
