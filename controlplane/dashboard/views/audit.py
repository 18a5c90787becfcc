"""The audit: what the last one found, and repairing it, one finding at a time."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.views.page import author, by_htmx, done, into_dialog, page
from pools.audit.books import Finding
from pools.audit.drift import STUCK
from runs.audit import record, repairs

GONE = "It was set right already, or has changed since you looked. Nothing was changed."


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    return page(request, "audit/index.html", screens.audit(), topic="audit", here="audit")


@require_POST
@operators_only
def make(request: HttpRequest) -> HttpResponse:
    """Audit now: at once, or some seconds later if there is something to look at twice."""
    found = record.audited(author(request))
    number = len(found.findings)
    return done(request, f"Drift: {number}." if number else "No drift.", reverse("audit"))


@require_safe
def finding(request: HttpRequest, mark: str) -> HttpResponse:
    """One finding of the last audit with all its evidence, and the button that repairs it."""
    found = _find(mark)
    if found is None:
        raise Http404("The last audit did not find this: it was set right, or has changed.")
    return into_dialog(request, "audit/_show.html", 200, title="Evidence", finding=found, word=_word(found))


@require_POST
@operators_only
def repair(request: HttpRequest, mark: str) -> HttpResponse:
    """Repair what the reader saw, if it is still just that."""
    found = _find(mark)
    try:
        if found is None:
            raise repairs.Gone
        made = repairs.repair(found, author(request))
    except repairs.Gone:
        return into_dialog(request, "_message.html", 409, title="There is nothing to repair.", text=GONE)
    except repairs.CannotRepair as error:
        return into_dialog(request, "_message.html", 409, title="It can\u2019t be repaired now.", text=f"{error}.")
    record.again(author(request))
    text = f"Released: {found.subject}." if found.kind == STUCK else f"Repaired: {made.done}."
    if by_htmx(request):
        return done(request, text, reverse("audit"))
    messages.success(request, text)
    return redirect("audit")  # not back: where the finding was shown there is nothing any more


def _find(mark: str) -> Finding | None:
    last = record.newest()
    found = [finding for finding in record.findings(last) if not record.is_warning(finding)] if last else []
    return next((finding for finding in found if finding.mark == mark), None)


def _word(found: Finding) -> str:
    return "Release" if found.kind == STUCK else "Repair"
