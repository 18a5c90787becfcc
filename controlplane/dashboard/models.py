"""What people keep for themselves on the pages, and that they are signed in."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models

from controlplane.dashboard import roles


class SavedView(models.Model):
    """A filter of runs that somebody has given a name, to come back to it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="+")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=4000)  # as in the page's address

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="a_person_names_a_view_once")]

    def __str__(self) -> str:
        return self.name


class Sessions(BaseSessionManager["Session"]):
    """Sessions, each with its user, and with whether that is an operator."""

    def get_queryset(self) -> models.QuerySet[Session]:
        return super().get_queryset().select_related("user").annotate(is_operator=roles.is_operator("user"))


class Session(AbstractBaseSession):
    """A session; `user` is who is signed in, None before that. See `sessions`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")

    objects: ClassVar[Sessions] = Sessions()

    @classmethod
    def get_session_store_class(cls) -> type:
        from controlplane.dashboard.sessions import SessionStore

        return SessionStore

    @property
    def signed_in(self) -> User | None:
        """Its user, as a backend finds them."""
        if self.user is not None:
            self.user.is_operator = self.is_operator  # type: ignore[attr-defined]
        return self.user
