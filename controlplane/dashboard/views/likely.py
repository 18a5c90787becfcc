"""When those in the line of a pool will likely start: a part of its page that comes after it, and a page of its own."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from controlplane.dashboard.views.page import by_htmx, page
from pools import queries
from pools.limits import InvalidLimit, pool_limit
from pools.sizing import NoSuchPool
from runs import estimates
from runs.estimates import Line, NotKnown

PLACES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
MOST_SHOWN = 5


@require_safe
def of_pool(request: HttpRequest, name: str) -> HttpResponse:
    """When the first and the last in its line start; with a `limit` in the address, with that limit beside it, and
    nothing beside an edit where it is not known.
    """
    try:
        limit = pool_limit(request.GET["limit"]) if "limit" in request.GET else None
    except InvalidLimit as error:
        raise BadRequest(str(error)) from error
    known = {"name": name, **_told(name, limit)}
    if by_htmx(request):
        return render(request, "pools/_likely.html", known)
    return page(request, "pools/likely.html", here="pools", whole=True, **known)


def _told(name: str, limit: int | None) -> dict[str, Any]:
    try:
        line = estimates.of_pool(name)
    except NotKnown as why:
        if queries.pool(name) is None:
            raise Http404(str(NoSuchPool(name))) from None
        return {"wrong": str(why), "limit": limit}
    places = _places(line) if limit is None else [*{1: None, line.service.length: None}]
    now = line.starts(places)
    then = line.starts(places, limit) if limit is not None and limit != line.gate.limit else None
    rows = [(place, now.get(place), then.get(place) if then is not None else None) for place in places]
    return {"line": line, "rows": rows, "limit": None if then is None else limit}


def _places(line: Line) -> list[int]:
    """A few places, the last among them; of a line that is longer than is counted, the last that is."""
    length = line.service.length
    return [*[place for place in PLACES if place < length][: MOST_SHOWN - 1], length]
