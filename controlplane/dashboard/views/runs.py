"""Runs: find them, look at one, cancel it, give it another priority."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.views.page import done, into_dialog, page
from runs import catalog, priority, queries, transitions
from runs.models import Run
from runs.queries import Filter


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    wanted = Filter(
        request.GET.get("state", ""), request.GET.get("job", "").strip(), request.GET.get("tag", "").strip()
    )
    before = request.GET.get("before", "")
    cursor = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None
    # The first page is live; further pages stand still, so that nobody loses the place.
    topic = "" if cursor else screens.run_list_topic(wanted)
    return page(
        request,
        "runs/index.html",
        [screens.run_table(wanted, cursor)],
        topic=topic,
        here="runs",
        wanted=wanted,
        groups=queries.GROUPS,
        jobs=sorted(catalog.current().jobs),
        before=cursor,
    )


@require_safe
def show(request: HttpRequest, uid: str) -> HttpResponse:
    run = the_run(uid)
    topic = "" if run.over else f"run:{run.pk}"
    return page(request, "runs/show.html", screens.blocks_of_run(run), topic=topic, here="runs", run=run)


@require_POST
@operators_only
def cancel(request: HttpRequest, uid: str) -> HttpResponse:
    run = the_run(uid)
    canceled = transitions.cancel_run(run.pk, request.user.get_username())
    run.refresh_from_db()
    name = f"{queries.job_name(run)} {run.short}"
    text = f"{name} is canceled." if run.over else f"{name} is being canceled; what runs is interrupted."
    if not canceled:
        text = f"{name} was {run.state} already."
    return done(request, text, reverse("run", args=[run.uid]), ("runs/_actions.html", {"run": run}))


@require_POST
@operators_only
def reprioritize(request: HttpRequest, uid: str) -> HttpResponse:
    run = the_run(uid)
    try:
        changed = priority.change(run, request.POST.get("priority", ""))
    except priority.InvalidPriority as error:
        return into_dialog(request, "_message.html", 422, title="The priority was not changed.", text=str(error))
    run.refresh_from_db()
    text = f"Priority of {queries.job_name(run)} {run.short} is {run.priority}." if changed else "The run is over."
    return done(request, text, reverse("run", args=[run.uid]), ("runs/_actions.html", {"run": run}))


def the_run(uid: str) -> Run:
    """The run with this uid, or the answer that there is none."""
    try:
        return queries.find(uid)
    except LookupError as error:
        raise Http404(str(error)) from error
