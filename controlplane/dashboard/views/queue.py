"""The run queue and its limits: the maximum, and the tag rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from controlplane.dashboard import effects, screens
from controlplane.dashboard.forms import RuleForm
from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.views.editing import in_words, refused
from controlplane.dashboard.views.page import author, by_htmx, done, page
from pools import outcome
from pools.limits import InvalidLimit, whole
from pools.sizing import Author
from runs import admission, deployment, run_limits
from runs.deployment import RuleView
from runs.models import TagRule
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
        add_rule_at=reverse("rules"),
        known_tags=deployment.known_tags(),
        **_proposed(request.GET.get("maximum", "")),
    )
    response.status_code = status
    return response


def _proposed(text: str) -> dict[str, object]:
    """The maximum that an address proposes, with its effect; nothing if it proposes none."""
    try:
        run_limits.parse_maximum(text)
    except run_limits.InvalidMaximum:
        return {}
    return {"draft": text.strip(), "said": _maximum_effect(text)}


@require_POST
@operators_only
def maximum(request: HttpRequest) -> HttpResponse:
    wanted = request.POST.get("limit", "").strip()
    if "see" in request.POST:
        return redirect(f"{reverse('limits')}?{urlencode({'maximum': wanted})}#queue-maximum")

    def verb(who: Author, version: int | None) -> object:
        return run_limits.set_maximum(wanted, who, version)

    answer = refused(
        request, verb, "The maximum of runs in progress", "max_concurrent_runs", in_words(wanted), _maximum_effect
    )
    if answer is not None:
        return answer
    found = deployment.queue_limits()
    text = f"Runs in progress: {'unlimited' if found.maximum is None else f'{found.maximum} at most'}."
    return done(request, text, reverse("limits"), ("queue/_maximum.html", {"limits": found}))


@require_POST
@operators_only
def add_rule(request: HttpRequest) -> HttpResponse:
    return added(request, reverse("limits"), _limits)


def added(
    request: HttpRequest, page_of_form: str, redraw: Callable[[HttpRequest, RuleForm, int], HttpResponse]
) -> HttpResponse:
    """Add a rule. One that is refused comes back on the page that it was written on, as it was written."""
    form = RuleForm(request.POST)
    if form.is_valid():
        rule = form.rule
        existing = TagRule.objects.filter(key=rule.key, value=rule.value, per_value=rule.per_value).first()
        if existing is None:
            run_limits.set_rule(rule, author(request))
            return _rules_changed(request, f"Run limit {rule.label}: {rule.limit}.", page_of_form)
        form.add_error("key", f"There is a rule for {rule.label} already: {existing.limit}. Change its limit instead.")
    return redraw(request, form, 422)


@require_POST
@operators_only
def edit_rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    row = _rule(rule_id)
    wanted = request.POST.get("limit", "").strip()

    def verb(who: Author, version: int | None) -> object:
        number = whole(wanted)
        if number is None or not 0 <= number <= 2**31 - 1:
            raise InvalidLimit(f"limit: {wanted!r} is not allowed: use a whole number, 0 or more.")
        return run_limits.set_rule(TagLimit(row.key, number, row.value, row.per_value), who, version)

    answer = refused(request, verb, f"The run limit {row}", "limit", wanted, partial(_rule_effect, rule_id))
    if answer is not None:
        return answer
    rule = _view_of(rule_id)
    return done(request, f"Run limit {row}: {wanted}.", reverse("limits"), ("queue/_rule_editor.html", {"rule": rule}))


@require_safe
@operators_only
def rule_editor(request: HttpRequest, rule_id: int) -> HttpResponse:
    """The form of a rule's limit, for a row that came live: the stream draws none."""
    if not by_htmx(request):
        return redirect("limits")
    row = _rule(rule_id)
    return render(request, "queue/_rule_editor.html", {"rule": _view_of(row.pk)})


@require_POST
@operators_only
def delete_rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    row = _rule(rule_id)
    run_limits.delete_rule(rule_id, author(request))
    return _rules_changed(request, f"Run limit {row} is deleted.", reverse("limits"))


def _maximum_effect(maximum: object) -> list[str]:
    number = whole(maximum)
    return effects.in_words(
        outcome.of_key(admission.RUNS, None if number == run_limits.NO_LIMIT else number), effects.RUNS
    )


def _rule_effect(rule_id: int, limit: object) -> list[str]:
    return effects.in_words(outcome.of_family(admission.rule_family(rule_id), whole(limit)), effects.RUNS)


def _rules_changed(request: HttpRequest, text: str, otherwise: str) -> HttpResponse:
    response = done(request, text, otherwise)
    if "HX-Request" in request.headers:
        response["HX-Refresh"] = "true"
    return response


def _view_of(rule_id: int) -> RuleView | None:
    return next((rule for rule in deployment.queue_limits().rules if rule.row.pk == rule_id), None)


def _rule(rule_id: int) -> TagRule:
    row = TagRule.objects.filter(pk=rule_id).first()
    if row is None:
        raise Http404("This rule is gone: somebody deleted it.")
    return row
