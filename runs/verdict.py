"""The verdict on an attempt, as a value: what becomes of the op, decided before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

from runs import states
from runs.definitions.checks import storable


@dataclass(frozen=True)
class Verdict:
    """How an attempt ended.

    `error` is one line, empty on success. `output` is what `runs.outputs` made of the value, None for
    None. `retry_in` is in seconds, for an attempt that is to be tried again.
    """

    state: str
    error: str = ""
    output: str | None = None
    retry_in: float | None = None

    @classmethod
    def success(cls, output: str | None = None) -> Verdict:
        return cls(states.SUCCESS, output=output)

    @classmethod
    def failure(cls, error: str, retry_in: float | None = None) -> Verdict:
        """A failed attempt; with `retry_in`, one that is tried again."""
        return cls(states.FAILURE if retry_in is None else states.UP_FOR_RETRY, _kept(error), retry_in=retry_in)

    @classmethod
    def canceled(cls, error: str = "canceled") -> Verdict:
        return cls(states.CANCELED, _kept(error))


def _kept(error: str) -> str:
    """The part of an error's text that is kept: a verdict that can't be written is none."""
    return storable(error[:500])
