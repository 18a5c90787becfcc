"""Who may do what: everybody who is signed in may look, operators may act.

An operator is a superuser or a member of the group "operators".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse

OPERATORS = "operators"
View = Callable[..., HttpResponse]


def may_operate(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether a user may launch, cancel and change limits."""
    if not isinstance(user, User) or not user.is_active:
        return False
    if user.is_superuser or not hasattr(user, "is_operator"):
        return user.is_superuser or user.groups.filter(name=OPERATORS).exists()
    return bool(user.is_operator)


def operators_only(view: View) -> View:
    """Refuse everybody else with 403."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not may_operate(request.user):
            raise PermissionDenied("This needs the operator role.")
        return view(request, *args, **kwargs)

    return checked


class Backend(ModelBackend):
    """Knows of whom it fetches whether they are an operator, so that no page has to ask."""

    def get_user(self, user_id: int) -> User | None:
        operators = Group.objects.filter(name=OPERATORS, user=OuterRef("pk"))
        user = User.objects.annotate(is_operator=Exists(operators)).filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
