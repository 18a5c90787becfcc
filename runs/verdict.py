"""The verdict on an attempt, as a value: what becomes of the op, decided before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

from runs import states
from runs.definitions.checks import storable

# What may end an attempt, or befall an op.
FAILED = "failed"  # its code raised
CRASHED = "crashed"  # its process died
LOST = "lost"  # its worker died, or did not renew its lease
TIMED_OUT = "timed_out"
STOPPED = "stopped"  # its run is being stopped
GIVEN_BACK = "given_back"  # its worker was being stopped; the attempt is not used
LATE = "late"  # a voice of an attempt that had been fenced; it was refused
RETRIED = "retried"  # somebody did not wait for the delay
GAVE_UP = "gave_up"  # somebody wants no further attempt


@dataclass(frozen=True)
class Verdict:
    """How an attempt ended.

    `error` is one line, empty on success. `output` is what `runs.outputs` made of the value, None for
    None. `retry_in` is in seconds, for an attempt that is to be tried again. `forgiven`: the attempt is not held
    against the op, which keeps its place in line.
    """

    state: str
    error: str = ""
    output: str | None = None
    retry_in: float | None = None
    cause: str = ""
    forgiven: bool = False

    @classmethod
    def success(cls, output: str | None = None) -> Verdict:
        return cls(states.SUCCESS, output=output)

    @classmethod
    def failure(cls, error: str, retry_in: float | None = None, cause: str = FAILED) -> Verdict:
        """A failed attempt; with `retry_in`, one that is tried again."""
        state = states.FAILURE if retry_in is None else states.UP_FOR_RETRY
        return cls(state, _kept(error), retry_in=retry_in, cause=cause)

    @classmethod
    def crash(cls, error: str, cause: str = CRASHED) -> Verdict:
        """An attempt that ended by no fault of the op, which is tried again at once."""
        return cls(states.UP_FOR_RETRY, _kept(error), retry_in=0.0, cause=cause, forgiven=True)

    @classmethod
    def canceled(cls, error: str = "canceled") -> Verdict:
        return cls(states.CANCELED, _kept(error), cause=STOPPED)


def _kept(error: str) -> str:
    """The part of an error's text that is kept: a verdict that can't be written is none."""
    return storable(error[:500])
