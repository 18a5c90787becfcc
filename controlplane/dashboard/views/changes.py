"""The change ledger: what was changed, by whom and why, and undoing it."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.views.page import author, by_htmx, done, into_dialog, ours, page
from pools import queries
from pools.models import Change
from pools.sizing import DELETED, Overtaken
from runs import ledger
from runs.granularity import WouldDeadlock
from runs.ledger import CannotRevert, NoSuchChange


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    subject, cursor = _asked(request.GET)
    # The first page is live; further pages stand still, so that nobody loses the place.
    return page(
        request,
        "changes/index.html",
        [screens.ledger(subject, cursor)],
        topic="" if cursor else f"changes:{subject}",
        here="changes",
        subject=subject,
        before=cursor,
    )


@require_safe
def show(request: HttpRequest, change_id: int) -> HttpResponse:
    """One change, what undoing it would do, and the button for it."""
    try:
        change, newer = queries.change(change_id)
    except Change.DoesNotExist:
        raise Http404(str(NoSuchChange(change_id))) from None
    at = ours(request, request.GET.get("from", ""))
    title = f"Change {change_id}"
    return into_dialog(request, "changes/_show.html", 200, title=title, change=change, newer=newer, at=at)


@require_POST
@operators_only
def revert(request: HttpRequest, change_id: int) -> HttpResponse:
    """Undo a change, if nothing newer was written about the same."""
    try:
        made = ledger.revert(change_id, author(request))
    except NoSuchChange as error:
        raise Http404(str(error)) from error
    except Overtaken as error:
        return into_dialog(
            request, "changes/_refused.html", 409, title="Undo refused", change=error.old, newer=error.change
        )
    except (WouldDeadlock, CannotRevert) as error:
        return into_dialog(request, "_message.html", 409, title="Undo refused", text=str(error))
    text = f"Change {change_id} is undone by change {made.pk}."
    at = ours(request, request.POST.get("from", ""))
    if by_htmx(request) and not _came_or_went(made):
        return _redrawn(done(request, text, reverse("changes")), at)
    messages.success(request, text)
    if by_htmx(request):
        return HttpResponse(headers={"HX-Refresh": "true"})
    return redirect(at or "changes")


def _came_or_went(change: Change) -> bool:
    """Whether there is one thing more or less to edit: pages that list them with their forms are drawn anew."""
    return change.field == DELETED or not change.before


def _redrawn(response: HttpResponse, at: str) -> HttpResponse:
    """With the older page of the ledger that was looked at, if that is one: no stream draws it again."""
    address = urlsplit(at)
    subject, cursor = _asked(QueryDict(address.query))
    if address.path == reverse("changes") and cursor:
        block = screens.ledger(subject, cursor)
        response.write(render_to_string("_redrawn.html", {"id": block.id, "html": block.draw()}))
    return response


def _asked(query: QueryDict) -> tuple[str, int | None]:
    """Which page of the ledger: about what, and before which change."""
    subject, before = query.get("subject", "").strip(), query.get("before", "")
    return subject, int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None
