"""What an edited limit would do, as a fragment beside its stepper. Opened as a page it leads to where it is edited."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from controlplane.dashboard import effects
from controlplane.dashboard.effects import Noun
from controlplane.dashboard.forms import RuleForm
from controlplane.dashboard.views.page import by_htmx
from pools import outcome
from pools.limits import MAX_LIMIT, InvalidLimit, pool_limit, whole
from pools.outcome import Outcome
from pools.sizing import NoSuchPool
from runs import admission, rule_effect, run_limits
from runs.models import TagRule
from runs.run_limits import InvalidMaximum

LARGEST = 2**31 - 1  # of a rule


@require_safe
def pool(request: HttpRequest, name: str) -> HttpResponse:
    """What another limit of a pool would do."""
    wanted = request.GET.get("limit", "").strip()
    if not by_htmx(request):
        return _to(reverse("pool", args=[name]), limit=wanted)
    try:
        limit = pool_limit(wanted)
    except InvalidLimit as error:
        return _wrong(request, str(error))
    found = outcome.of_pool(name, limit)
    if found is None:
        raise Http404(str(NoSuchPool(name)))
    if "brief" in request.GET:
        return _in_brief(request, found)
    return _effect(request, found, effects.SLOTS, likely_at(name, found))


def _in_brief(request: HttpRequest, found: Outcome) -> HttpResponse:
    """For a row of a table: sentences alone, and nothing where nothing is edited."""
    said = effects.in_words(found, effects.SLOTS) if found.changes else []
    return render(request, "_effect.html", {"said": said})


@require_safe
def maximum(request: HttpRequest) -> HttpResponse:
    """What another maximum of runs in progress would do."""
    wanted = request.GET.get("limit", "").strip()
    if not by_htmx(request):
        return _to(reverse("limits"), maximum=wanted)
    try:
        limit = run_limits.parse_maximum(wanted)
    except InvalidMaximum as error:
        return _wrong(request, str(error))
    return _effect(request, outcome.of_key(admission.RUNS, limit), effects.RUNS)


@require_safe
def default_limit(request: HttpRequest) -> HttpResponse:
    """What another default limit would do, pool by pool."""
    wanted = request.GET.get("limit", "").strip()
    if not by_htmx(request):
        return _to(reverse("settings"), default=wanted)
    try:
        found = of_default(wanted)
    except InvalidLimit as error:
        return _wrong(request, str(error))
    return render(request, "pools/_default_effect.html", {"default_effect": found})


def of_default(wanted: str) -> effects.OfDefault:
    """What a default limit would do, in words; empty: no limit. Raises InvalidLimit."""
    limit = pool_limit(wanted, "default_limit") if wanted else None
    return effects.of_default(outcome.of_default(limit))


@require_safe
def rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    """What another limit of a tag rule would do."""
    row = TagRule.objects.filter(pk=rule_id).first()
    if row is None:
        raise Http404("This rule is gone: somebody deleted it.")
    wanted = request.GET.get("limit", "").strip()
    if not by_htmx(request):
        return _to(reverse("limits"), rule=rule_id, limit=wanted)
    limit = whole(wanted)
    if limit is None or not 0 <= limit <= LARGEST:
        return _wrong(request, f"limit: {wanted[:60]!r} is not allowed: use a whole number, 0 or more.")
    return _effect(request, outcome.of_family(admission.rule_family(row.pk), limit), effects.RUNS)


@require_safe
def new_rule(request: HttpRequest) -> HttpResponse:
    """What a rule that is being written would do; nothing while it is not whole."""
    form = RuleForm(request.GET)
    said = rule_effect.in_words(rule_effect.of_new(form.rule)) if form.is_valid() else []
    if not by_htmx(request):
        return _to(reverse("limits"), key=request.GET.get("key", ""))
    return render(request, "_effect.html", {"said": said})


def _effect(request: HttpRequest, found: Outcome | None, noun: Noun, likely: str = "") -> HttpResponse:
    drawn = found if noun is effects.SLOTS else None
    said = effects.in_words(found, noun)
    return render(request, "_effect.html", {"said": said, "outcome": drawn, "likely_at": likely})


def likely_at(name: str, found: Outcome) -> str:
    """Where it is told when those in the line of a pool would start with another limit; nothing, if none would."""
    if not (found.changes and found.in_line and found.to) or found.paused:
        return ""
    return f"{reverse('pool-likely', args=[name])}?{urlencode({'limit': found.to})}"


def _wrong(request: HttpRequest, text: str) -> HttpResponse:
    return render(request, "_effect.html", {"wrong": text}, status=422)


def _to(where: str, **query: object) -> HttpResponse:
    return redirect(f"{where}?{urlencode(query)}")


def draft(request: HttpRequest) -> int | None:
    """The limit of a pool that an address proposes, None if it proposes none."""
    number = whole(request.GET.get("limit", ""))
    return number if number is not None and 0 <= number <= MAX_LIMIT else None
