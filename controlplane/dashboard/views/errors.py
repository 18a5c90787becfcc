"""What is shown when something can't be: in the same voice as the rest, and to htmx as a dialog."""

from __future__ import annotations

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from controlplane.dashboard.views.page import into_dialog
from runs import schema


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _say(request, 400, "This request can't be read.", str(exception))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _say(request, 403, "You may not do this.", str(exception) or "Nothing was changed.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    text = (
        "Nothing was changed. This page was open for too long, or the form came from elsewhere: reload and try again."
    )
    return _say(request, 403, "This form is out of date.", text)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    text = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    return _say(request, 404, "There is nothing here.", text or "The address may be mistyped, or the thing is gone.")


def not_allowed(request: HttpRequest) -> HttpResponse:
    text = "Something is changed at this address, by a button of another page; nothing is shown here."
    return _say(request, 405, "There is nothing to read here.", text)


def failed(request: HttpRequest) -> HttpResponse:
    """Said without the database, if that is what failed."""
    try:
        if schema.behind():
            return HttpResponse(render_to_string("errors/behind.html"), status=503)
        title, text = "Something went wrong on our side.", "Nothing was changed. The log of the server says more."
        return _say(request, 500, title, text)
    except DatabaseError:
        return HttpResponse(render_to_string("errors/away.html"), status=503)


def _say(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    return into_dialog(request, "_message.html", status, title=title, text=text)
