"""How views answer: a whole page, a fragment, or, after a change, a word about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from controlplane.dashboard.screens import Block, rail_counts
from pools.sizing import Author


def page(
    request: HttpRequest, template: str, blocks: Iterable[Block] = (), topic: str = "", **context: Any
) -> HttpResponse:
    """A whole page: its blocks are drawn for this reader, and kept drawn by the stream of its topic.

    `also`: other topics of which it shows blocks.
    """
    blocks = list(blocks)
    now = next((block.context["now"] for block in blocks if "now" in block.context), None)
    drawn = {block.id.replace("-", "_"): block.draw(request) for block in blocks}
    known = {"rail": rail_counts(now)} if now else {}
    return render(request, template, {"blocks": drawn, "topic": topic, **known, **context})


def by_htmx(request: HttpRequest) -> bool:
    """Whether htmx asks, and wants a fragment."""
    return bool(cast(HtmxDetails, getattr(request, "htmx", None)))


def author(request: HttpRequest) -> Author:
    """Who makes this change, and the reason given with it. The same for all that a request changes."""
    known = vars(request)
    if "author" not in known:
        known["author"] = Author(request.user.get_username(), "page", request.POST.get("why", "").strip()[:500])
    return cast(Author, known["author"])


def done(
    request: HttpRequest,
    text: str,
    otherwise: str,
    fragment: tuple[str, dict[str, Any]] | None = None,
    undo: tuple[str, dict[str, Any]] | None = None,
) -> HttpResponse:
    """The answer to a change that was made: a toast, and the fragment that it changed; without htmx, a redirect.

    Both offer to undo what the ledger of limits can undo; of anything else a toast offers it, by an address and what to
    send there: `undo`. The redirect goes back to where the form stood, else to the address `otherwise`.
    """
    change = author(request).made[-1].pk if author(request).made else None
    if by_htmx(request):
        body = render_to_string(fragment[0], fragment[1], request) if fragment else ""
        toast = {"text": text, "change": change, "undo": undo}
        return HttpResponse(body + render_to_string("_toast.html", toast, request))
    messages.success(request, text, extra_tags=str(change or ""))
    return back(request, otherwise)


def back(request: HttpRequest, otherwise: str) -> HttpResponse:
    """A redirect to where the form stood, if that is one of our pages."""
    return redirect(ours(request, request.headers.get("referer", "")) or otherwise)


def ours(request: HttpRequest, address: str) -> str:
    """An address that a request names, if it is one of our pages, else nothing."""
    safe = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if safe else ""


def into_dialog(request: HttpRequest, template: str, status: int, **context: Any) -> HttpResponse:
    """A fragment that htmx shows as a dialog; without htmx, the same as a page, with a way back instead of *Close*."""
    if not by_htmx(request):
        came_from = ours(request, request.headers.get("referer", ""))
        away = came_from if urlsplit(came_from).path != request.path else ""
        return render(request, "dialog_page.html", {"dialog": template, "away": away, **context}, status=status)
    response = render(request, template, context, status=status)
    response["HX-Retarget"] = "#dialog"
    response["HX-Reswap"] = "innerHTML"
    return response
