"""What would start something sooner that waits: a part of its page that comes after it, and a page of its own."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from controlplane.dashboard.views.ops import the_op
from controlplane.dashboard.views.page import by_htmx, page
from controlplane.dashboard.views.runs import the_run
from runs import estimates, sooner, why
from runs.models import Op, Run
from runs.why import Why


@require_safe
def of_run(request: HttpRequest, uid: str) -> HttpResponse:
    """What would start a queued run sooner."""
    run = the_run(uid)
    return _answer(request, run, None, why.of_run(run))


@require_safe
def of_op(request: HttpRequest, uid: str, key: str) -> HttpResponse:
    """What would start an op sooner that waits for slots."""
    op = the_op(uid, key).op
    return _answer(request, op.run, op, why.of_op(op))


def _answer(request: HttpRequest, run: Run, op: Op | None, reasons: Why | None) -> HttpResponse:
    known: dict[str, Any] = {"run": run, "op": op, "why": reasons, "options": sooner.of(reasons) if reasons else []}
    known["start"] = estimates.of_wait(reasons) if reasons else None
    if by_htmx(request):
        return render(request, "runs/_sooner.html", known)
    return page(request, "runs/sooner.html", here="runs", **known)
