"""A part of a page that changes while it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string


@dataclass(frozen=True)
class Block:
    """A part of a page that changes while it is looked at."""

    id: str
    template: str
    context: dict[str, Any] = field(default_factory=dict)

    def draw(self, request: HttpRequest | None = None) -> str:
        """The element as HTML. Without a request: for everybody, without forms."""
        return render_to_string(self.template, {**self.context, "block": self.id}, request)
