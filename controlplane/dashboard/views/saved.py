"""Saved views: filters of runs under a name. Everybody has his own, also those who may only look."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from controlplane.dashboard import saved_views
from controlplane.dashboard.templatetags.filtering import filtered
from controlplane.dashboard.views.page import back, into_dialog
from runs import filters
from runs.filters import Filter


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """Show the reader's views and offer to save a filter; or save it."""
    wanted, wrong = filters.parse((request.POST if request.method == "POST" else request.GET).dict())
    for text in wrong.values():
        return _ask(request, Filter(), text)
    if request.method != "POST":
        return _ask(request, wanted)
    try:
        view = saved_views.save(request.user, request.POST.get("name", ""), wanted)
    except saved_views.InvalidView as error:
        return _ask(request, wanted, str(error))
    messages.success(request, f"View {view.name} is saved.")
    return redirect(filtered(wanted))


@require_POST
def rename(request: HttpRequest, view_id: int) -> HttpResponse:
    try:
        if not saved_views.rename(request.user, view_id, request.POST.get("name", "")):
            raise Http404("This view is gone.")
    except saved_views.InvalidView as error:
        return _ask(request, Filter(), str(error))
    messages.success(request, "The view is renamed.")
    return back(request, filtered(Filter()))


@require_POST
def delete(request: HttpRequest, view_id: int) -> HttpResponse:
    if not saved_views.delete(request.user, view_id):
        raise Http404("This view is gone.")
    messages.success(request, "The view is deleted.")
    return back(request, filtered(Filter()))


def _ask(request: HttpRequest, wanted: Filter, wrong: str = "") -> HttpResponse:
    known = {
        "title": "Saved views",
        "views": saved_views.of(request.user),
        "wanted": wanted,
        "name": request.POST.get("name", ""),
        "wrong": wrong,
    }
    return into_dialog(request, "runs/_ask_views.html", 422 if wrong else 200, **known)
