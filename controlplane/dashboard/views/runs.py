"""Runs: find them, look at one, cancel it, execute it again, give it another priority."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from controlplane.dashboard import saved_views, screens
from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.timeline import Choice
from controlplane.dashboard.views.canceling import CANCELABLE
from controlplane.dashboard.views.page import by_htmx, done, into_dialog, page
from pools.limits import shown, whole
from runs import catalog, filters, launch, lineage, plans, priority, queries, reexecution, transitions
from runs.launch import CannotLaunch, NotDue
from runs.models import Run


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Runs that match a filter, newest first. A filter that is not allowed finds none, and is told so."""
    wanted, wrong = filters.parse(request.GET.dict())
    before = request.GET.get("before", "")
    cursor = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None
    found = filters.Found([], None, 0, False, False, None, False) if wrong else filters.find(wanted, cursor)
    # Rows stay where they are. What comes later is counted beside the first page; further pages belong to the past.
    after = None if cursor else max([found.newest, *(run.pk for run in found.runs[:1])])
    shown = [screens.run_table(found.runs)] if found.runs else []
    response = page(
        request,
        "runs/index.html",
        [screens.bulk_canceling(), screens.new_runs(wanted, None), *shown],
        topic="" if wrong else screens.run_list_topic(wanted, found.runs, after),
        here="runs",
        wanted=wanted,
        wrong=wrong,
        typed=wanted.query() | {name: request.GET.get(name, "") for name in wrong},
        found=found,
        cancelable=wanted.group in CANCELABLE and not wrong,
        jobs=sorted(catalog.current().jobs),
        before=cursor,
        views=saved_views.of(request.user),
    )
    response.status_code = 422 if wrong else 200
    return response


@require_safe
def show(request: HttpRequest, uid: str) -> HttpResponse:
    run = the_run(uid)
    try:
        choice = Choice.read(request.GET.get("ops", ""), request.GET.get("from", ""))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    topic = "" if run.over and run.retry_at is None else screens.run_topic(run, choice)
    blocks = screens.blocks_of_run(run, choice)
    newest = blocks[0].context["family"].newest
    return page(request, "runs/show.html", blocks, topic=topic, here="runs", run=run, newest=newest)


@require_safe
def why(request: HttpRequest, uid: str) -> HttpResponse:
    """Why a run waits, and what would start it sooner; of one that does not, what its last wait was spent on."""
    run = the_run(uid)
    return page(
        request,
        "runs/why.html",
        screens.blocks_of_why(run),
        topic="" if run.over else f"why:{run.pk}",
        here="runs",
        run=run,
    )


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


@require_http_methods(["GET", "HEAD", "POST"])
def again(request: HttpRequest, uid: str) -> HttpResponse:
    """Ask whether a run that is over is to be executed again, and how; or do it."""
    run = the_run(uid)
    if request.method == "POST":
        return _execute_again(request, run)
    return _ask_again(request, run, 200)


@operators_only
def _execute_again(request: HttpRequest, run: Run) -> HttpResponse:
    """Execute a run again, unless that was done since the reader looked. Leads to the new run; or, to `stay`, tells."""
    source = request.POST.get("from", "")
    if source not in ("all", "failure"):
        text = f"from: {shown(source)} is not allowed: use all or failure."
        return into_dialog(request, "_message.html", 422, title="Nothing was launched.", text=text)
    who, seen = request.user.get_username(), whole(request.POST.get("newest", "")) or 0
    try:
        made = reexecution.reexecute(run, who=who, door="page", from_failure=source == "failure", seen=seen)
    except NotDue:
        return _ask_again(request, run, 409)
    except CannotLaunch as error:
        title = f"{queries.job_name(run)} {run.short} was not executed again."
        return into_dialog(request, "_message.html", 422, title=title, text=str(error))
    for text in launch.warnings(made.tags, plans.load(made.plan_id)):
        messages.warning(request, text)
    text, where = f"{queries.job_name(made)} {made.short} executes {run.short} again.", reverse("run", args=[made.uid])
    if by_htmx(request) and "stay" in request.POST:
        return done(request, text, where)
    messages.success(request, text)
    return HttpResponse(headers={"HX-Redirect": where}) if by_htmx(request) else redirect(where)


def _ask_again(request: HttpRequest, run: Run, status: int) -> HttpResponse:
    name, conflict = f"{queries.job_name(run)} {run.short}", status == 409
    known = {
        "title": f"{name} was executed again since you looked" if conflict else f"Execute {name} again?",
        "run": run,
        "newest": lineage.newest_child(run),
        "reusable": reexecution.can_reuse(run),
        "conflict": conflict,
    }
    return into_dialog(request, "runs/_ask_again.html", status, **known)


@require_POST
@operators_only
def reprioritize(request: HttpRequest, uid: str) -> HttpResponse:
    """Change the priority; if the reader says which he saw, only if it is still that one."""
    run = the_run(uid)
    told = request.POST.get("seen")
    seen = None if told is None else whole(told)
    title = "The priority was not changed."
    if told is not None and (seen is None or abs(seen) > priority.HIGHEST):
        text = f"seen: {shown(told)} is not allowed: use the priority that you saw."
        return into_dialog(request, "_message.html", 422, title=title, text=text)
    try:
        before = priority.change(run, request.POST.get("priority", ""), seen)
    except priority.InvalidPriority as error:
        return into_dialog(request, "_message.html", 422, title=title, text=str(error))
    except priority.Overtaken as error:
        title = "The priority was changed since you looked."
        text = f"It is {error.now} now. Look again at what a higher one would do."
        return into_dialog(request, "_message.html", 409, title=title, text=text)
    run.refresh_from_db()
    over = before is None
    text = "The run is over." if over else f"Priority of {queries.job_name(run)} {run.short} is {run.priority}."
    fragment: tuple[str, dict[str, Any]] = ("runs/_actions.html", {"run": run})
    if by_htmx(request) and "seen" in request.POST:  # asked for elsewhere than by the form that is shown here
        fragment = ("_redrawn.html", {"id": "run-actions", "html": render_to_string(*fragment, request)})
    undo = (reverse("run-priority", args=[run.uid]), {"priority": before, "seen": run.priority})
    where = reverse("run", args=[run.uid])
    return done(request, text, where, fragment, None if over or before == run.priority else undo)


def the_run(uid: str) -> Run:
    """The run with this uid, or the answer that there is none."""
    try:
        return queries.find(uid)
    except LookupError as error:
        raise Http404(str(error)) from error
