"""How limits stood over time: of a pool, and of the deployment. The range is in the address."""

from __future__ import annotations

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from controlplane.dashboard import histories
from controlplane.dashboard.addresses import safe_id
from controlplane.dashboard.charts.ranges import RANGES, Range
from controlplane.dashboard.histories import NoSuchRange
from controlplane.dashboard.views.page import page
from pools import queries
from pools.sizing import NoSuchPool


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    wanted = _range(request, "24h")
    found = histories.of_deployment(wanted)
    return page(request, "history/index.html", here="history", history=found, range=wanted, ranges=RANGES.values())


@require_safe
def pool(request: HttpRequest, name: str) -> HttpResponse:
    wanted = _range(request, "24h")
    found = _existing(name)
    return page(
        request,
        "history/pool.html",
        here="pools",
        pool=found,
        name=name,
        history=histories.of_pool(name, wanted),
        range=wanted,
        ranges=RANGES.values(),
    )


@require_safe
def pool_csv(request: HttpRequest, name: str) -> HttpResponse:
    wanted = _range(request, "24h")
    _existing(name)
    response = HttpResponse(histories.as_csv(name, wanted), content_type="text/csv")
    response["Content-Disposition"] = f'attachment; filename="{safe_id(name)}-{wanted.key}.csv"'
    return response


def _range(request: HttpRequest, otherwise: str) -> Range:
    try:
        return histories.range_of(request.GET.get("range", ""), otherwise)
    except NoSuchRange as error:
        raise BadRequest(str(error)) from error


def _existing(name: str) -> queries.PoolView:
    found = queries.pool(name)
    if found is None:
        raise Http404(str(NoSuchPool(name)))
    return found
