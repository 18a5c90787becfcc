"""Two people at once: who looked at what, and whether somebody else has changed it since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Subject = tuple[Any, ...]  # what is set: the verb, and the name if there are several, as in ("set_pool", "database")


class Editors:
    """Knows of everything that is set how often it was changed. A change that sets what is already there is none."""

    def __init__(self) -> None:
        self._set: dict[Subject, object] = {}
        self._changes: dict[Subject, int] = {}
        self._seen: dict[tuple[str, Subject], int] = {}

    def now_set(self, everything: Mapping[Subject, object]) -> None:
        """What is set after an event. What is left out was deleted."""
        for subject in {*everything, *self._set}:
            if everything.get(subject) != self._set.get(subject):
                self._changes[subject] = self._changes.get(subject, 0) + 1
        self._set = dict(everything)

    def look(self, who: str, subject: Subject) -> None:
        self._seen[who, subject] = self._changes.get(subject, 0)

    def was_changed_since(self, who: str, subject: Subject) -> bool:
        """Whether it is not as somebody saw it any more, or was not in between."""
        return self._changes.get(subject, 0) != self._seen[who, subject]
