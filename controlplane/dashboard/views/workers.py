"""The workers and RQ's own side."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.views.page import page


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    return page(request, "workers/index.html", screens.blocks_of("workers"), topic="workers", here="workers")
