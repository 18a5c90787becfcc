"""Pausing a pool: that, why and until when; changing it, and ending it."""

from __future__ import annotations

from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.views.page import author, into_dialog
from controlplane.dashboard.views.pools import changed, existing
from pools import claims, pauses, sizing
from pools.pauses import InvalidPause
from pools.rules import time_of_day
from pools.sizing import AlreadyPaused, Conflict, NoSuchPool


@require_POST
@operators_only
def pause(request: HttpRequest, name: str) -> HttpResponse:
    """Let nobody new in, until somebody or, if an end is given, the clock resumes it. Of a pool that is paused already,
    say by whom, and offer to change that.
    """
    try:
        until = _end(request)
        sizing.pause(name, author(request), until)
    except InvalidPause as error:
        return into_dialog(request, "_message.html", 422, title=f"{name} was not paused.", text=str(error))
    except AlreadyPaused:
        return _is_paused(request, name, f"{name} is paused already", until)
    except NoSuchPool as error:
        raise Http404(str(error)) from error
    return changed(request, name, f"{name} is paused{_until(until)}: nobody new starts.")


@require_POST
@operators_only
def change(request: HttpRequest, name: str) -> HttpResponse:
    """Give a pause another reason and end, if it is still the one that the reader saw."""
    try:
        until = _end(request)
        pauses.change(name, author(request), until, request.POST.get("pause", ""))
    except InvalidPause as error:
        return into_dialog(
            request, "_message.html", 422, title=f"The pause of {name} was not changed.", text=str(error)
        )
    except Conflict as conflict:
        if conflict.current == "paused":
            return _is_paused(request, name, f"The pause of {name} was changed since you looked", until)
        text = "Pause it anew if it is to be paused. Nothing was changed."
        if conflict.change is not None:
            text = f"{conflict.change.who} resumed it. {text}"
        return into_dialog(request, "_message.html", 409, title=f"{name} is not paused any more.", text=text)
    except NoSuchPool as error:
        raise Http404(str(error)) from error
    return changed(request, name, f"{name} stays paused{_until(until)}.")


@require_POST
@operators_only
def resume(request: HttpRequest, name: str) -> HttpResponse:
    try:
        sizing.resume(name, author(request))
    except NoSuchPool as error:
        raise Http404(str(error)) from error
    return changed(request, name, f"{name} is open again.")


def _is_paused(request: HttpRequest, name: str, title: str, until: datetime | None) -> HttpResponse:
    """By whom and why, with what the reader asked for, to be set in its place."""
    pool = existing(name)
    wanted = author(request).why
    context = {"title": title, "pool": pool, "mark": pauses.mark(pool), "wanted": wanted, "end": until}
    return into_dialog(request, "pools/_is_paused.html", 409, **context)


def _end(request: HttpRequest) -> datetime | None:
    """When the pause that is asked for ends. A time of day is more exact than a span, and comes first."""
    now = claims.clock_time()
    at = pauses.end_of(request.POST.get("until", ""), now)
    return at or pauses.end_of(request.POST.get("for", ""), now, "for")


def _until(end: datetime | None) -> str:
    return f" until {time_of_day(end)}" if end else ""
