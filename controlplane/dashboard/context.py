"""What every page knows: who looks, what they may do, the counts beside the navigation, the theme."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from controlplane.dashboard import roles, screens

THEMES = ("light", "dark")


def page(request: HttpRequest) -> dict[str, Any]:
    """For full pages; fragments don't use what is lazy here, and so cost nothing."""
    theme = request.COOKIES.get("theme", "")
    known = vars(request)  # asked once a request, however many blocks it draws
    if "may_operate" not in known:
        known["may_operate"] = hasattr(request, "user") and roles.may_operate(request.user)
    return {
        "theme": theme if theme in THEMES else "",
        "server_now": timezone.now(),
        "may_operate": known["may_operate"],
        "rail": SimpleLazyObject(screens.rail_counts),
        "live": settings.LIVE,
    }
