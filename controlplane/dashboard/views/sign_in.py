"""Signing in by password or by a one-time link, and out."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from controlplane.dashboard import login_links


@login_not_required
@never_cache
@sensitive_variables("token")
@require_http_methods(["GET", "POST"])
def by_link(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """A one-time link. Opening it changes nothing; the button on the page signs in and spends it."""
    user = login_links.user_of(uid, token)
    if user is None:
        return render(request, "sign_in/spent.html", status=410)
    if request.method == "POST":
        login(request, user)
        return redirect(settings.LOGIN_REDIRECT_URL)
    return render(request, "sign_in/link.html", {"user_name": user.get_username()})
