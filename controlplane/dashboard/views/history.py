"""How limits stood over time: of a pool, and of the deployment. What is shown of it is in the address."""

from __future__ import annotations

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from controlplane.dashboard import histories
from controlplane.dashboard.addresses import safe_id
from controlplane.dashboard.charts.ranges import RANGES, Range
from controlplane.dashboard.histories import MOST_CHOICES, MOST_POOLS, NoSuchRange
from controlplane.dashboard.views.page import page
from pools import queries
from pools.sizing import NoSuchPool


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    wanted, compared, picked = _range(request, "24h"), _compared(request), _picked(request)
    return page(
        request,
        "history/index.html",
        here="history",
        history=histories.of_deployment(wanted, picked, compared),
        range=wanted,
        ranges=RANGES.values(),
        compared=compared,
        picked=picked,
        most_pools=MOST_POOLS,
        most_choices=MOST_CHOICES,
    )


@require_safe
def pool(request: HttpRequest, name: str) -> HttpResponse:
    wanted, compared = _range(request, "24h"), _compared(request)
    found = _existing(name)
    return page(
        request,
        "history/pool.html",
        here="pools",
        pool=found,
        name=name,
        history=histories.of_pool(name, wanted, compared),
        range=wanted,
        ranges=RANGES.values(),
        compared=compared,
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


def _compared(request: HttpRequest) -> bool:
    wanted = request.GET.get("compare", "")
    if wanted not in ("", "week"):
        raise BadRequest(f"compare: {wanted!r} is not week.")
    return wanted == "week"


def _picked(request: HttpRequest) -> list[str]:
    """The pools that are to be drawn, each once; none: those with the longest lines."""
    picked = list(dict.fromkeys(name for each in request.GET.getlist("pool") if (name := each.strip())))
    if len(picked) > MOST_POOLS:
        raise BadRequest(f"pool: {len(picked)} pools are picked; at most {MOST_POOLS} are drawn at once.")
    return picked


def _existing(name: str) -> queries.PoolView:
    found = queries.pool(name)
    if found is None:
        raise Http404(str(NoSuchPool(name)))
    return found
