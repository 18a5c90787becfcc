"""Settings of the deployment: what holds for all pools. The page also has the limits of the run queue, from `queue`."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.forms import RuleForm
from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.views import queue
from controlplane.dashboard.views.editing import Verb, in_words, refused
from controlplane.dashboard.views.effects import of_default
from controlplane.dashboard.views.page import done, page
from pools import queries as pool_queries
from pools import sizing
from pools.limits import InvalidLimit
from pools.sizing import Author
from runs import deployment
from runs import granularity as granularities

CHECK = {"on": True, "off": False}


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    return _settings(request, RuleForm())


def _settings(request: HttpRequest, form: RuleForm, status: int = 200) -> HttpResponse:
    blocks = screens.settings()
    response = page(
        request,
        "settings/show.html",
        blocks,
        topic="settings",
        here="settings",
        limits=blocks[0].context["limits"],
        settings=blocks[0].context["settings"],
        form=form,
        add_rule_at=reverse("settings-rules"),
        known_tags=deployment.known_tags(),
        **_proposed(request),
    )
    response.status_code = status
    return response


def _proposed(request: HttpRequest) -> dict[str, object]:
    """The default limit that an address proposes, with its effect; nothing if it proposes none that may be."""
    if "default" not in request.GET:
        return {}
    wanted = request.GET["default"].strip()
    try:
        return {"default_draft": wanted, "default_effect": of_default(wanted)}
    except InvalidLimit:
        return {}


@require_POST
@operators_only
def add_rule(request: HttpRequest) -> HttpResponse:
    """Add a tag rule of the run queue, whose form stands on this page, too."""
    return queue.added(request, reverse("settings"), _settings)


@require_POST
@operators_only
def default_limit(request: HttpRequest) -> HttpResponse:
    """The limit of pools that have none of their own; empty: unlimited."""
    wanted = request.POST.get("limit", "").strip()
    if "see" in request.POST:
        return redirect(f"{reverse('settings')}?{urlencode({'default': wanted})}#default-limit")

    def verb(who: Author, version: int | None) -> object:
        return sizing.set_default_limit(wanted or None, who, version)

    return _edited(request, verb, "default_limit", "The default limit", in_words(wanted), "pools/_default.html")


@require_POST
@operators_only
def granularity(request: HttpRequest) -> HttpResponse:
    """Who holds slots: each running op, or each run from its start to its end."""
    wanted = request.POST.get("granularity", "")

    def verb(who: Author, version: int | None) -> object:
        return granularities.set_default(wanted, who, version)

    return _edited(request, verb, "granularity", "The granularity", wanted, "settings/_granularity.html")


@require_POST
@operators_only
def run_buffer(request: HttpRequest) -> HttpResponse:
    """How many more runs may start than the pools of their root ops have room for."""
    wanted = request.POST.get("limit", "").strip()

    def verb(who: Author, version: int | None) -> object:
        return sizing.set_run_buffer(wanted, who, version)

    return _edited(request, verb, sizing.RUN_BUFFER, "The run buffer", wanted, "settings/_run_buffer.html")


@require_POST
@operators_only
def check_at_queue(request: HttpRequest) -> HttpResponse:
    """Whether runs wait in the queue while the pools of all their root ops are taken."""
    wanted = request.POST.get("check", "")

    def verb(who: Author, version: int | None) -> object:
        if wanted not in CHECK:
            raise InvalidLimit(f"check: {wanted!r} is not allowed: use on or off.")
        return sizing.set_check_at_queue(CHECK[wanted], who, version)

    return _edited(request, verb, "check_at_queue", "The pool check at the queue", wanted, "settings/_check.html")


def _edited(request: HttpRequest, verb: Verb, field: str, what: str, wanted: str, fragment: str) -> HttpResponse:
    answer = refused(request, verb, what, field, wanted)
    if answer is not None:
        return answer
    text = f"{what.removeprefix('The ').capitalize()}: {wanted}."
    return done(request, text, reverse("settings"), (fragment, {"settings": pool_queries.pool_settings()}))
