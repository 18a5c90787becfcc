"""How a limit is edited: against the version that the reader saw, and if it is refused, in a dialog that says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.http import HttpRequest, HttpResponse

from controlplane.dashboard.views.page import author, into_dialog
from pools.limits import InvalidLimit
from pools.sizing import Author, Conflict, latest_change
from runs.granularity import InvalidGranularity, WouldDeadlock
from runs.run_limits import InvalidMaximum

OF_THE_READER = ("csrfmiddlewaretoken", "version", "seen")  # what a form says of who posts it, not of what is wanted

Effect = Callable[[object], Sequence[str]]
Verb = Callable[[Author, int | None], object]  # the author, and the version that the reader saw


def refused(
    request: HttpRequest, verb: Verb, what: str, field: str, wanted: str, effect: Effect | None = None
) -> HttpResponse | None:
    """Make a change. None: it is made. Else the dialog that says why not.

    `what` is the thing in words, `field` its name in the ledger, `wanted` the new value in words, `effect` says what a
    value does. Several values may
    share a version. Who posts the value that was seen as well is not refused because of a change to another one.
    """
    version = request.POST.get("version", "")
    who = author(request)
    try:
        try:
            verb(who, int(version) if version.isascii() and version.isdecimal() and len(version) < 19 else None)
        except Conflict as conflict:
            if request.POST.get("seen") != in_ledger(conflict.current):
                raise
            verb(who, conflict.version)
    except (InvalidLimit, InvalidMaximum, InvalidGranularity) as error:
        return into_dialog(request, "_message.html", 422, title=f"{what} was not changed.", text=str(error))
    except WouldDeadlock as error:
        return into_dialog(request, "_message.html", 409, title=f"{what} was not changed.", text=str(error))
    except Conflict as conflict:
        return into_dialog(
            request,
            "_conflict.html",
            409,
            what=what,
            wanted=wanted,
            change=latest_change(conflict.subject, field),
            current=in_words(conflict.current),
            effects=[(in_words(conflict.current), effect(conflict.current)), (wanted, effect(wanted))]
            if effect
            else [],
            version=conflict.version,
            again=[(name, value) for name, value in request.POST.items() if name not in OF_THE_READER],
            target=request.POST.get("row", ""),
        )
    return None


def in_ledger(value: object) -> str:
    """A value as the ledger writes it."""
    return "none" if value is None else str(value)


def in_words(value: object) -> str:
    """A limit as people say it. Everything else is a word already."""
    return "no limit" if value in (None, "none", "", "-1") else str(value)
