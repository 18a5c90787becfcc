"""Search: results for the palette, and the same as a page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from controlplane.dashboard.views.page import by_htmx, page
from runs import search


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    found = search.find(request.GET.get("q", ""))
    if by_htmx(request):
        return render(request, "search/_results.html", {"found": found})
    return page(request, "search/show.html", here="search", found=found)
