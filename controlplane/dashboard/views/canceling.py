"""Canceling all runs of a filter: ask by verb and number, then begin."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.templatetags.filtering import filtered
from controlplane.dashboard.templatetags.sluice import grouped
from controlplane.dashboard.views.page import by_htmx, done, into_dialog
from pools.limits import whole
from runs import bulk_cancel, filters
from runs.filters import Filter
from runs.models import BulkCancel

MOST_WITHOUT_TYPING = 100  # for more runs their number is typed, not only clicked
CANCELABLE = ("", "queued", "progress")  # groups of runs in which there may be something to cancel


@require_http_methods(["GET", "HEAD", "POST"])
def cancel_all(request: HttpRequest) -> HttpResponse:
    """Ask whether all runs of a filter are to be canceled; or do it."""
    wanted, wrong = filters.parse((request.POST if request.method == "POST" else request.GET).dict())
    for text in wrong.values():
        return into_dialog(request, "_message.html", 422, title="Nothing was canceled.", text=text)
    return _cancel(request, wanted) if request.method == "POST" else _ask(request, wanted)


@require_http_methods(["GET", "HEAD", "POST"])
def call_off(request: HttpRequest, bulk_id: int) -> HttpResponse:
    """Ask whether nothing is to be canceled after all; or see to it, as long as it has not begun."""
    row = BulkCancel.objects.filter(pk=bulk_id).first()
    if row is None:
        raise Http404("There is no such cancellation.")
    return (
        _call_off(request, row)
        if request.method == "POST"
        else into_dialog(request, "runs/_ask_call_off.html", 200, title="Cancel nothing after all?", bulk=row)
    )


@operators_only
def _call_off(request: HttpRequest, row: BulkCancel) -> HttpResponse:
    if bulk_cancel.call_off(row, request.user.get_username()):
        return done(request, "Nothing was canceled.", reverse("runs"))
    text = (
        f"Somebody did before: {row.called_off_by}."
        if row.called_off_by
        else "It has begun: what it canceled stays so."
    )
    return into_dialog(request, "_message.html", 409, title="It can't be undone any more.", text=text)


@operators_only
def _cancel(request: HttpRequest, wanted: Filter) -> HttpResponse:
    """Cancel the runs that the reader was asked about, none that was launched since.

    1. The form says how many those were and which was the newest; else the reader is asked again.
    2. For many, the reader typed how many.
    """
    newest, total = whole(request.POST.get("newest", "")), whole(request.POST.get("total", ""))
    found = bulk_cancel.matching(wanted, newest) if newest and 0 < newest < 2**63 else None
    if found is None or total is None or found.total > total or not found.total:
        return _ask(request, wanted, 409)
    if found.total > MOST_WITHOUT_TYPING and typed(request.POST.get("number", "")) != total:
        return _ask(request, wanted, 422, wrong=True)
    row = bulk_cancel.begin(wanted, request.user.get_username(), newest, bulk_cancel.UNDO_FOR)
    text, where = _told(row), filtered(wanted)
    if by_htmx(request):
        return done(request, text, where)
    messages.success(request, text)
    return redirect(where)


def _ask(request: HttpRequest, wanted: Filter, status: int = 200, wrong: bool = False) -> HttpResponse:
    found = bulk_cancel.matching(wanted) if wanted.group in CANCELABLE else bulk_cancel.Matching(0, 0, 0)
    many = f"{grouped(found.total)} run{'' if found.total == 1 else 's'}"
    known = {
        "title": f"Cancel {many}?" if found.total else "Nothing to cancel",
        "many": many,
        "wanted": wanted,
        "found": found,
        "type_it": found.total > MOST_WITHOUT_TYPING,
        "wrong": wrong,
        "changed": status == 409,
    }
    return into_dialog(request, "runs/_ask_cancel.html", status, **known)


def _told(row: BulkCancel) -> str:
    """How far it has got, in a sentence."""
    many = f"{grouped(row.total)} run{' is' if row.total == 1 else 's are'}"
    if row.begins_at is not None and row.ended_at is None:
        return f"{many} canceled in {bulk_cancel.UNDO_FOR:.0f} s, unless you undo it."
    if row.ended_at is None:
        return f"{grouped(row.canceled)} of {grouped(row.total)} runs are canceled so far; the others follow."
    return f"{grouped(row.canceled)} run{' is' if row.canceled == 1 else 's are'} canceled."


def typed(text: str) -> int | None:
    """A number as somebody types it who has it before his eyes: 2310, 2 310 or 2,310."""
    digits = "".join(text.replace(",", "").split())
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None
