"""Sessions that are read together with whom they belong to: every page needs both, and asks once."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends import db

from controlplane.dashboard.models import Session


class SessionStore(db.SessionStore):
    """Django's sessions in the database, each with its user. `owner`: who that was when it was loaded; None: nobody."""

    owner: User | None = None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        row = cast(Session, super().create_model_instance(data))
        row.user_id = data.get(SESSION_KEY)
        return row

    def _get_session_from_db(self) -> Session | None:
        row: Session | None = super()._get_session_from_db()  # type: ignore[misc]
        self.owner = row.signed_in if row else None
        return row
