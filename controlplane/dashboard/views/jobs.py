"""Jobs and assets: what can be launched, and launching it."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from controlplane.dashboard.forms import LaunchForm
from controlplane.dashboard.roles import may_operate, operators_only
from controlplane.dashboard.screens import rail_counts
from controlplane.dashboard.views.page import page
from runs import admission, catalog, deployment, launch, queries
from runs.catalog import Job
from runs.launch import CannotLaunch


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    found = catalog.current()
    histories = queries.job_histories(sorted(found.jobs))
    return page(
        request,
        "jobs/index.html",
        here="jobs",
        jobs=[(found.jobs[name], histories[name]) for name in sorted(found.jobs)],
        assets=[
            {
                "name": asset.name,
                "description": asset.description,
                "pools": asset.pools,
                "upstream": ", ".join((*asset.inputs, *asset.deps)),
            }
            for _, asset in sorted(found.assets.items())
        ],
        problems=found.problems,
        modules=found.modules,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def launch_job(request: HttpRequest, name: str) -> HttpResponse:
    """The launch form of a job."""
    job = catalog.current().jobs.get(name)
    if job is None:
        raise Http404(f"No job is called {name}.")
    return _launch(request, job)


@require_http_methods(["GET", "HEAD", "POST"])
def launch_assets(request: HttpRequest) -> HttpResponse:
    """The launch form of the assets that were ticked."""
    names = request.POST.getlist("select") or request.GET.getlist("select")
    try:
        job = launch.find_assets(catalog.current(), names)
    except CannotLaunch as error:
        messages.error(request, str(error.errors.get("select", error)))
        return redirect("jobs")
    return _launch(request, job, selected=names)


def _launch(request: HttpRequest, job: Job, selected: list[str] | None = None) -> HttpResponse:
    form = LaunchForm(job, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        return _try_launch(request, job, form, selected)
    return _form(request, job, form, selected)


@operators_only
def _try_launch(request: HttpRequest, job: Job, form: LaunchForm, selected: list[str] | None) -> HttpResponse:
    if form.is_valid():
        try:
            run = launch.launch(
                job,
                who=request.user.get_username(),
                door="page",
                tags=form.cleaned_data["tags"],
                priority=form.cleaned_data["priority"],
                values=form.values,
            )
        except CannotLaunch as error:
            form.take_errors(error.errors)
        else:
            for text in launch.warnings(run.tags, job.plan):
                messages.warning(request, text)
            messages.success(request, f"{queries.job_name(run)} {run.short} is launched.")
            return redirect("run", run.uid)
    return _form(request, job, form, selected, status=422)


def _form(
    request: HttpRequest, job: Job, form: LaunchForm, selected: list[str] | None, status: int = 200
) -> HttpResponse:
    now = deployment.now()
    limits = deployment.queue_limits(now)
    response = page(
        request,
        "jobs/launch.html",
        here="jobs",
        job=job,
        form=form,
        selected=selected,
        may_launch=may_operate(request.user),
        limits=limits,
        rail=rail_counts(now),
        rules=[rule.limit for rule in limits.rules if rule.limit.counts(job.tags) is not None],
        queue_key=admission.RUNS,
    )
    response.status_code = status
    return response
