"""The run queue and its limits: the maximum, and the tag rules."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.forms import RuleForm
from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.views.page import author, done, into_dialog, page
from pools import queries as pool_queries
from pools.models import Change
from pools.sizing import Conflict
from runs import queries, run_limits
from runs.models import TagRule
from runs.run_limits import InvalidMaximum
from runs.tag_limits import TagLimit


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    return page(request, "queue/show.html", screens.queue(), topic="queue", here="queue")


@require_safe
def limits(request: HttpRequest) -> HttpResponse:
    return _limits(request, RuleForm(initial={"key": request.GET.get("key", "")}))


def _limits(request: HttpRequest, form: RuleForm, status: int = 200) -> HttpResponse:
    blocks = screens.limits()
    response = page(
        request,
        "queue/limits.html",
        blocks,
        topic="limits",
        here="limits",
        limits=blocks[0].context["limits"],
        form=form,
        known_tags=queries.known_tags(),
        changes=_changes(),
    )
    response.status_code = status
    return response


def _changes() -> list[Change]:
    return [
        change
        for change in pool_queries.changes(most=40)
        if change.subject == run_limits.MAXIMUM or change.subject.startswith("rule:")
    ][:8]


@require_POST
@operators_only
def maximum(request: HttpRequest) -> HttpResponse:
    wanted, version = request.POST.get("limit", "").strip(), request.POST.get("version", "")
    try:
        run_limits.set_maximum(wanted, author(request), int(version) if version.isdecimal() else None)
    except InvalidMaximum as error:
        return into_dialog(request, "_message.html", 422, title="The maximum was not changed.", text=str(error))
    except Conflict as conflict:
        return into_dialog(
            request,
            "pools/_conflict.html",
            409,
            action=reverse("queue-maximum"),
            what="The maximum of runs in progress",
            wanted=wanted,
            conflict=conflict,
            target="#queue-maximum",
        )
    found = queries.queue_limits()
    shown = "unlimited" if found.maximum is None else found.maximum
    return done(
        request, f"Runs in progress: {shown} at most.", reverse("limits"), ("queue/_maximum.html", {"limits": found})
    )


@require_POST
@operators_only
def add_rule(request: HttpRequest) -> HttpResponse:
    form = RuleForm(request.POST)
    if form.is_valid():
        rule = form.rule
        existing = TagRule.objects.filter(key=rule.key, value=rule.value, per_value=rule.per_value).first()
        if existing is None:
            run_limits.set_rule(rule, author(request))
            return _rules_changed(request, f"Run limit {rule.label}: {rule.limit}.")
        form.add_error("key", f"There is a rule for {rule.label} already: {existing.limit}. Change its limit instead.")
    return _limits(request, form, 422)


@require_POST
@operators_only
def edit_rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    row = _rule(rule_id)
    wanted, version = request.POST.get("limit", "").strip(), request.POST.get("version", "")
    if not wanted.isascii() or not wanted.isdecimal() or len(wanted) > 10 or int(wanted) > 2**31 - 1:
        text = f"limit: {wanted!r} is not allowed: use a whole number, 0 or more."
        return into_dialog(request, "_message.html", 422, title="The rule was not changed.", text=text)
    limit = TagLimit(row.key, int(wanted), row.value, row.per_value)
    try:
        run_limits.set_rule(limit, author(request), int(version) if version.isdecimal() else None)
    except Conflict as conflict:
        return into_dialog(
            request,
            "pools/_conflict.html",
            409,
            action=reverse("rule", args=[rule_id]),
            what=f"The run limit {limit.label}",
            wanted=wanted,
            conflict=conflict,
            target=f"#rule-{rule_id}",
        )
    rule = next((rule for rule in queries.queue_limits().rules if rule.row.pk == rule_id), None)
    return done(
        request,
        f"Run limit {limit.label}: {limit.limit}.",
        reverse("limits"),
        ("queue/_rule_editor.html", {"rule": rule}),
    )


@require_POST
@operators_only
def delete_rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    row = _rule(rule_id)
    run_limits.delete_rule(rule_id, author(request))
    return _rules_changed(request, f"Run limit {row} is deleted.")


def _rules_changed(request: HttpRequest, text: str) -> HttpResponse:
    response = done(request, text, reverse("limits"))
    if "HX-Request" in request.headers:
        response["HX-Refresh"] = "true"
    return response


def _rule(rule_id: int) -> TagRule:
    row = TagRule.objects.filter(pk=rule_id).first()
    if row is None:
        raise Http404("This rule is gone: somebody deleted it.")
    return row
