"""Who may do what: everybody who is signed in may look, operators may act.

An operator is a superuser or a member of the group "operators".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

OPERATORS = "operators"
View = Callable[..., HttpResponse]


def may_operate(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether a user may launch, cancel and change limits."""
    if not isinstance(user, User) or not user.is_active:
        return False
    return user.is_superuser or user.groups.filter(name=OPERATORS).exists()


def operators_only(view: View) -> View:
    """Refuse everybody else with 403."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not may_operate(request.user):
            raise PermissionDenied("This needs the operator role.")
        return view(request, *args, **kwargs)

    return checked
