"""One-time login links: good for an hour, and for one sign-in.

The token is Django's for password resets: it covers the user's last sign-in, so signing in spends it.
"""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode


class _Tokens(PasswordResetTokenGenerator):
    key_salt = "controlplane.dashboard.login_links"


_tokens = _Tokens()


def ensure_user(name: str) -> User:
    """The administrator of this name; made without a password if there is none. Links let them in."""
    users = get_user_model().objects
    user = users.filter(username=name).first()
    if user is None:
        user = users.create_superuser(username=name, email="", password=None)
    return user


def make(name: str, address: str) -> str:
    """A link that signs in the user of this name, once. Raises User.DoesNotExist."""
    user = get_user_model().objects.get(username=name)
    uid = urlsafe_base64_encode(str(user.pk).encode())
    return address.rstrip("/") + reverse("login-link", args=[uid, _tokens.make_token(user)])


def user_of(uid: str, token: str) -> User | None:
    """Whom a link signs in; None when it is spent, too old or not ours."""
    try:
        pk = int(urlsafe_base64_decode(uid).decode())
    except (ValueError, OverflowError):
        return None
    user = get_user_model().objects.filter(pk=pk, is_active=True).first()
    return user if user is not None and _tokens.check_token(user, token) else None
