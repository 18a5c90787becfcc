"""Launching a job or a set of assets: the form, the same as YAML, and which limits the run will meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from controlplane.dashboard import param_kinds
from controlplane.dashboard.launch_form import LaunchForm, YamlForm
from controlplane.dashboard.param_kinds import Unreadable
from controlplane.dashboard.roles import may_operate, operators_only
from controlplane.dashboard.screens import rail_counts
from controlplane.dashboard.views.page import by_htmx, page
from controlplane.dashboard.views.runs import the_run
from pools.limits import whole
from runs import catalog, deployment, foreseen, launch, launch_document, queries
from runs.catalog import ASSET_JOB, Job
from runs.foreseen import Foreseen
from runs.launch import CannotLaunch
from runs.launch_document import Document
from runs.models import Op, Run

Form = LaunchForm | YamlForm


@require_http_methods(["GET", "HEAD", "POST"])
def launch_job(request: HttpRequest, name: str) -> HttpResponse:
    """The launch form of a job."""
    job = catalog.current().jobs.get(name)
    if job is None:
        raise Http404(f"No job is called {name}.")
    return _launch(request, job)


@require_http_methods(["GET", "HEAD", "POST"])
def launch_assets(request: HttpRequest) -> HttpResponse:
    """The launch form of the assets that were ticked, or that another run was made of."""
    names = request.POST.getlist("select") or request.GET.getlist("select")
    if not names and (uid := request.GET.get("from")):
        names = list(Op.objects.filter(run=the_run(uid)).order_by("rank").values_list("key", flat=True))
    try:
        job = launch.find_assets(catalog.current(), names)
    except CannotLaunch as error:
        messages.error(request, str(error.errors.get("select", error)))
        return redirect("jobs")
    return _launch(request, job, selected=names)


def _launch(request: HttpRequest, job: Job, selected: list[str] | None = None) -> HttpResponse:
    """By GET, the form as it begins; to htmx, only the limits. By POST, what the button says that was pressed."""
    if request.method != "POST":
        source = _source(request, job)
        document = _asked(request, launch_document.of_run(source, job) if source else Document())
        if by_htmx(request):
            return _limits(request, job, document)
        form = (YamlForm if request.GET.get("as") == "yaml" else LaunchForm)(job, document=document)
        return _page(request, job, form, selected, source)
    form = (YamlForm if "text" in request.POST else LaunchForm)(job, request.POST)
    match request.POST.get("do"):
        case "yaml" | "form" as tab:
            return _other_tab(request, job, form, selected, YamlForm if tab == "yaml" else LaunchForm)
        case "check":
            return _page(request, job, form, selected, status=_check(job, form))
    return _try_launch(request, job, form, selected)


def _source(request: HttpRequest, job: Job) -> Run | None:
    """The run from which the form is filled in."""
    if "from" not in request.GET:
        return None
    run = the_run(request.GET["from"])
    if run.job != job.name:
        raise Http404(f"Run {run.short} is no run of {'assets' if job.name == ASSET_JOB else job.name}.")
    return run


def _asked(request: HttpRequest, document: Document) -> Document:
    """A document with the tags and the priority that the address gives, as far as they can be read."""
    if "tags" in request.GET:
        try:
            document = replace(document, tags=dict(param_kinds.pairs(request.GET["tags"], "key=value")))
        except Unreadable:
            pass
    if "priority" in request.GET:
        document = replace(document, priority=whole(request.GET["priority"]))
    return document


def _other_tab(
    request: HttpRequest, job: Job, form: Form, selected: list[str] | None, other: type[Form]
) -> HttpResponse:
    """The other tab with what was filled in; the same one, if that can't be read."""
    document = form.document
    if form.errors:
        return _page(request, job, form, selected, status=422)
    return _page(request, job, other(job, document=document), selected)


def _check(job: Job, form: Form) -> int:
    """Show what a launch would refuse. The status to answer with."""
    document = form.document
    try:
        launch.check(job, job.plan, document.tags, document.priority, document.params)
    except CannotLaunch as error:
        form.take_errors(error.errors)
    return 422 if form.errors else 200


@operators_only
def _try_launch(request: HttpRequest, job: Job, form: Form, selected: list[str] | None) -> HttpResponse:
    if _check(job, form) == 200:
        document = form.document
        try:
            run = launch.launch(
                job,
                who=request.user.get_username(),
                door="page",
                tags=document.tags,
                priority=document.priority,
                values=document.params,
            )
        except CannotLaunch as error:
            form.take_errors(error.errors)
        else:
            for text in launch.warnings(run.tags, job.plan):
                messages.warning(request, text)
            messages.success(request, f"{queries.job_name(run)} {run.short} is launched.")
            return redirect("run", run.uid)
    return _page(request, job, form, selected, status=422)


def _limits(request: HttpRequest, job: Job, document: Document) -> HttpResponse:
    """The limits that a run would meet, as a fragment."""
    return render(request, "jobs/_limits.html", {"foreseen": _foreseen(job, document), "job": job})


def _foreseen(job: Job, document: Document) -> Foreseen:
    """The limits of a run as far as its tags can be read."""
    try:
        tags, _ = launch.check(job.without_params, job.plan, document.tags, document.priority)
    except CannotLaunch:
        tags = dict(job.tags)
    return foreseen.limits(tags, job.plan)


def _page(
    request: HttpRequest,
    job: Job,
    form: Form,
    selected: list[str] | None,
    source: Run | None = None,
    status: int = 200,
) -> HttpResponse:
    document: Any = form.document if form.is_bound else form.begun_with
    now = deployment.now()
    response = page(
        request,
        "jobs/launch.html",
        here="jobs",
        job=job,
        form=form,
        selected=selected,
        takes_params=job.params is not None,
        source=source,
        may_launch=may_operate(request.user),
        foreseen=_foreseen(job, document),
        rail=rail_counts(now),
    )
    response.status_code = status
    return response
