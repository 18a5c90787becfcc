"""Filters of runs that people come back to: saved under a name, for whoever saved them alone."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from controlplane.dashboard.models import SavedView
from pools.limits import shown
from runs.filters import Filter

MOST = 20
LONGEST = 60


class InvalidView(ValueError):
    """A view that can't be saved so. The text names the value and what is allowed."""


def of(user: Any) -> list[SavedView]:
    """Somebody's views, by name."""
    return list(SavedView.objects.filter(user=user).order_by("name"))


def save(user: Any, name: str, wanted: Filter) -> SavedView:
    """Keep a filter under a name. Raises InvalidView."""
    name = _name(name)
    if not wanted:
        raise InvalidView("Choose a filter first: there is nothing to save.")
    if SavedView.objects.filter(user=user).count() >= MOST:
        raise InvalidView(f"You have {MOST} views already: delete one first.")
    try:
        with transaction.atomic():
            return SavedView.objects.create(user=user, name=name, query=wanted.address)
    except IntegrityError:
        raise InvalidView(f"name: you have a view {shown(name)} already.") from None


def rename(user: Any, view_id: int, name: str) -> bool:
    """Give somebody's view another name. False: it is gone. Raises InvalidView."""
    name = _name(name)
    try:
        with transaction.atomic():
            return bool(SavedView.objects.filter(user=user, pk=view_id).update(name=name))
    except IntegrityError:
        raise InvalidView(f"name: you have a view {shown(name)} already.") from None


def delete(user: Any, view_id: int) -> bool:
    """Forget somebody's view. False: it was gone."""
    return bool(SavedView.objects.filter(user=user, pk=view_id).delete()[0])


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > LONGEST:
        raise InvalidView(f"name: {shown(name)} is not allowed: use 1 to {LONGEST} characters.")
    return name
