"""Who may do what: everybody who is signed in may look, operators may act.

An operator is a superuser or a member of the group "operators".
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.middleware import AuthenticationMiddleware, get_user
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

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


def is_operator(user: str) -> Exists:
    """Whether the user in a column is an operator: to annotate rows with."""
    return Exists(Group.objects.filter(name=OPERATORS, user=OuterRef(user)))


_owner: ContextVar[Callable[[], User | None] | None] = ContextVar("owner", default=None)


class Backend(ModelBackend):
    """Knows of whom it fetches whether they are an operator, so that no page has to ask."""

    def get_user(self, user_id: int) -> User | None:
        owner = _owner.get()
        user = owner() if owner else None
        if user is None or user.pk != user_id:
            user = User.objects.annotate(is_operator=is_operator("pk")).filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None


class SignedIn(AuthenticationMiddleware):
    """Django's own, which finds the user of a session without a question: they were read together (`sessions`)."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = SimpleLazyObject(lambda: _user_of(request))  # type: ignore[assignment]


def _user_of(request: HttpRequest) -> Any:
    told = _owner.set(lambda: getattr(request.session, "owner", None))
    try:
        return get_user(request)
    finally:
        _owner.reset(told)
