"""The overview: is work flowing, and what needs a person?"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.views.page import page


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    blocks = screens.overview()
    names = [pool.name for block in blocks if block.id == "pools" for pool in block.context["pools"]]
    lines, sparks = screens.at_a_glance(names)
    drawn = {name: spark.draw(request) for name, spark in sparks.items()}
    blocks = [*screens.with_sparks(blocks, drawn), lines]
    return page(request, "overview/show.html", blocks, topic="overview", also=("glance",), here="overview")
