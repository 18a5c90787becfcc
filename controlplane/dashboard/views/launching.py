"""Launching a job or a set of assets: the form, the same as YAML, which limits the run will meet, and presets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from controlplane.dashboard import param_kinds
from controlplane.dashboard.launch_form import LaunchForm, YamlForm
from controlplane.dashboard.param_kinds import Unreadable
from controlplane.dashboard.roles import may_operate, operators_only
from controlplane.dashboard.screens import rail_counts
from controlplane.dashboard.templatetags.launching import preset_address
from controlplane.dashboard.views.page import author, by_htmx, page
from controlplane.dashboard.views.runs import the_run
from pools.limits import shown, whole
from pools.sizing import Conflict
from runs import catalog, deployment, foreseen, launch, launch_document, presets, queries
from runs.catalog import ASSET_JOB, Job
from runs.foreseen import Foreseen
from runs.kept import Preset
from runs.launch import CannotLaunch
from runs.launch_document import Document
from runs.models import Op, Run
from runs.presets import InvalidPreset, NoSuchPreset

Form = LaunchForm | YamlForm

SELECT = "select"  # in a preset of assets: which


@dataclass
class Page:
    """What is launched here, and from what the form was filled in: a run or a preset, if any."""

    job: Job
    selected: list[str] | None = None
    source: Run | None = None
    preset: Preset | None = None
    wrong_name: str = ""  # why a preset was not kept


@require_http_methods(["GET", "HEAD", "POST"])
def launch_job(request: HttpRequest, name: str) -> HttpResponse:
    """The launch form of a job."""
    return _launch(request, Page(_job(name)))


@require_http_methods(["GET", "HEAD", "POST"])
def launch_assets(request: HttpRequest) -> HttpResponse:
    """The launch form of the assets that were ticked, or that another run was made of."""
    names = request.POST.getlist("select") or request.GET.getlist("select")
    if not names and (uid := request.GET.get("from")):
        names = list(Op.objects.filter(run=the_run(uid)).order_by("rank").values_list("key", flat=True))
    if not names and "preset" in request.GET:
        names = _preset(ASSET_JOB, whole(request.GET["preset"]) or 0).document.get(SELECT, [])
    try:
        job = launch.find_assets(catalog.current(), names)
    except CannotLaunch as error:
        messages.error(request, str(error.errors.get("select", error)))
        return redirect("jobs")
    return _launch(request, Page(job, names))


@require_POST
@operators_only
def delete_preset(request: HttpRequest, name: str, preset_id: int) -> HttpResponse:
    preset = _preset(name if name == ASSET_JOB else _job(name).name, preset_id)
    presets.delete(preset, author(request))
    messages.success(request, f"Preset {preset.name} is deleted.", extra_tags=str(author(request).made[-1].pk))
    return redirect("jobs") if name == ASSET_JOB else redirect("launch", name)


def _job(name: str) -> Job:
    job = catalog.current().jobs.get(name)
    if job is None:
        raise Http404(f"No job is called {name}.")
    return job


def _launch(request: HttpRequest, at: Page) -> HttpResponse:
    """By GET, the form as it begins; to htmx, only the limits. By POST, what the button says that was pressed."""
    sent = request.POST if request.method == "POST" else request.GET
    if "preset" in sent:
        at.preset = _preset(at.job.name, whole(sent["preset"]) or 0)
    if request.method != "POST":
        return _begin(request, at)
    at.source = _source_of(at.job, request.POST.get("from", ""))
    form = (YamlForm if "text" in request.POST else LaunchForm)(at.job, request.POST)
    match request.POST.get("do") or ("save" if request.POST.get("preset_name") else "launch"):
        case "yaml" | "form" as tab:
            return _other_tab(request, at, form, YamlForm if tab == "yaml" else LaunchForm)
        case "check" if by_htmx(request):
            return _limits(request, at, form.document)
        case "check":
            status = _check(at.job, form)
            return _page(request, at, form, status, checked=status == 200)
        case "save" | "update" as verb:
            return _save(request, at, form, verb == "update")
        case "launch":
            return _try_launch(request, at, form)
        case other:
            raise BadRequest(f"do: {shown(other)} is not allowed: use launch, check, form, yaml, save or update.")


def _begin(request: HttpRequest, at: Page) -> HttpResponse:
    """The form, filled in from a run, from a preset, by the address."""
    document = Document()
    if "from" in request.GET:
        at.source = _source(at.job, request.GET["from"])
        document = launch_document.of_run(at.source, at.job)
    elif at.preset:
        document = Document(**{part: kept for part, kept in at.preset.document.items() if part != SELECT})
    document = _asked(request, document)
    if by_htmx(request):
        return _limits(request, at, document)
    return _page(request, at, (YamlForm if request.GET.get("as") == "yaml" else LaunchForm)(at.job, document=document))


def _preset(job: str, preset_id: int) -> Preset:
    try:
        return presets.find(job, preset_id)
    except NoSuchPreset as error:
        raise Http404(str(error)) from error


def _source(job: Job, uid: str) -> Run:
    """The run from which the form is filled in."""
    run = the_run(uid)
    if run.job != job.name:
        raise Http404(f"Run {run.short} is no run of {'assets' if job.name == ASSET_JOB else job.name}.")
    return run


def _source_of(job: Job, uid: str) -> Run | None:
    """The run from which a form was filled in that is sent now; None: from none, or it has been removed since."""
    return Run.objects.filter(uid=uid, job=job.name).first() if uid else None


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


def _other_tab(request: HttpRequest, at: Page, form: Form, other: type[Form]) -> HttpResponse:
    """The other tab with what was filled in; the same one, if that can't be read."""
    document = form.document
    if form.errors:
        return _page(request, at, form, status=422)
    return _page(request, at, other(at.job, document=document))


@operators_only
def _save(request: HttpRequest, at: Page, form: Form, update: bool) -> HttpResponse:
    """Keep what is filled in as a preset: under a new name, or in place of what the one it came from holds."""
    document = form.document
    if form.errors:
        return _page(request, at, form, status=422)
    kept = document.as_json | ({SELECT: at.selected} if at.selected else {})
    try:
        if update and at.preset:
            version = whole(request.POST.get("preset_version", ""))
            preset = presets.change(at.preset, kept, author(request), version)
        else:
            preset = presets.add(at.job.name, request.POST.get("preset_name", ""), kept, author(request))
    except InvalidPreset as error:
        at.wrong_name = str(error)
        return _page(request, at, form, status=422)
    except Conflict as conflict:
        who = conflict.change.who if conflict.change else "Somebody"
        at.wrong_name = f"{who} changed it since you loaded it: save yours under another name, or load it again."
        return _page(request, at, form, status=409)
    text = f"Preset {preset.name} is saved."
    messages.success(request, text, extra_tags=str(author(request).made[-1].pk))
    as_yaml = "&as=yaml" if form.is_yaml else ""
    return redirect(preset_address(preset) + as_yaml)


def _check(job: Job, form: Form) -> int:
    """Show what a launch would refuse. The status to answer with."""
    document = form.document
    try:
        launch.check(job, job.plan, document.tags, document.priority, document.params)
    except CannotLaunch as error:
        form.take_errors(error.errors)
    return 422 if form.errors else 200


@operators_only
def _try_launch(request: HttpRequest, at: Page, form: Form) -> HttpResponse:
    if _check(at.job, form) == 200:
        document = form.document
        try:
            run = launch.launch(
                at.job,
                who=request.user.get_username(),
                door="page",
                tags=document.tags,
                priority=document.priority,
                values=document.params,
                source=at.source,
            )
        except CannotLaunch as error:
            form.take_errors(error.errors)
        else:
            for text in launch.warnings(run.tags, at.job.plan):
                messages.warning(request, text)
            messages.success(request, f"{queries.job_name(run)} {run.short} is launched.")
            return redirect("run", run.uid)
    return _page(request, at, form, status=422)


def _limits(request: HttpRequest, at: Page, document: Document) -> HttpResponse:
    """Which limits the run would meet, as a fragment: for who goes on typing."""
    return render(request, "jobs/_limits.html", {"foreseen": _foreseen(at.job, document), "job": at.job})


def _foreseen(job: Job, document: Document) -> Foreseen:
    """The limits of a run as far as its tags can be read."""
    try:
        tags, _ = launch.check(job.without_params, job.plan, document.tags, document.priority)
    except CannotLaunch:
        tags = dict(job.tags)
    return foreseen.limits(tags, job.plan)


def _page(request: HttpRequest, at: Page, form: Form, status: int = 200, checked: bool = False) -> HttpResponse:
    """`checked`: it was looked at, and can be launched."""
    now = deployment.now()
    response = page(
        request,
        "jobs/launch.html",
        here="jobs",
        job=at.job,
        takes_params=at.job.params is not None,
        form=form,
        selected=at.selected,
        source=at.source,
        preset=at.preset,
        preset_version=request.POST.get("preset_version") or (at.preset and at.preset.version),
        presets=presets.of_job(at.job.name),
        preset_name=request.POST.get("preset_name", ""),
        wrong_name=at.wrong_name,
        checked=checked,
        may_launch=may_operate(request.user),
        foreseen=_foreseen(at.job, form.document if form.is_bound else form.begun_with),
        rail=rail_counts(now),
    )
    response.status_code = status
    return response
