"""The overview: is work flowing, and what needs a person?"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.views.page import page


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    return page(request, "overview/show.html", screens.overview(), topic="overview", here="overview")
