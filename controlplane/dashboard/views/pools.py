"""Pools: who holds, who waits, and how many slots there are."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from controlplane.dashboard import effects, screens
from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.views.editing import refused
from controlplane.dashboard.views.effects import draft, likely_at
from controlplane.dashboard.views.page import author, by_htmx, done, page
from pools import outcome, pauses, queries, sizing
from pools.limits import InvalidLimit, pool_name, whole
from pools.queries import PoolView
from pools.sizing import Author, NoSuchPool
from runs import granularity as granularities


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _create(request)
    return _index(request)


def _index(request: HttpRequest, status: int = 200, **problem: str) -> HttpResponse:
    response = page(
        request,
        "pools/index.html",
        screens.pools(),
        topic="pools",
        here="pools",
        settings=queries.pool_settings(),
        **problem,
    )
    response.status_code = status
    return response


@operators_only
def _create(request: HttpRequest) -> HttpResponse:
    name, limit = request.POST.get("name", "").strip(), request.POST.get("limit", "")
    try:
        found = sizing.set_limit(pool_name(name), limit, author(request))
    except InvalidLimit as error:
        return _index(request, 422, error=str(error), name=name, limit=limit)
    return redirect("pool", found.name)


@require_safe
@operators_only
def stepper(request: HttpRequest, name: str) -> HttpResponse:
    """The form of a pool's limit, for a row that came live: the stream draws none."""
    if not by_htmx(request):
        return redirect("pool", name)
    found = queries.pool(name)
    if found is None:
        raise Http404(f"No pool is called {name}.")
    return render(request, "pools/_stepper.html", {"pool": found})


@require_safe
def show(request: HttpRequest, name: str) -> HttpResponse:
    try:
        blocks = screens.pool(name)
    except LookupError:
        raise Http404(
            f"No pool is called {name}. Pools appear when an op names one, or create it on the pools page."
        ) from None
    chart = screens.chart_of_pool(name, blocks[-1].context["changes"])
    wanted = draft(request)
    found = outcome.of_pool(name, wanted) if wanted is not None else None
    return page(
        request,
        "pools/show.html",
        [*blocks, chart],
        topic=f"pool:{name}",
        also=(f"pool-chart:{name}",),
        here="pools",
        pool=blocks[0].context["pool"],
        mark=pauses.mark(blocks[0].context["pool"]),
        name=name,
        draft=wanted,
        outcome=found,
        likely_at=likely_at(name, found) if found else "",
        said=effects.in_words(found, effects.SLOTS) if found else None,
    )


@require_POST
@operators_only
def limit(request: HttpRequest, name: str) -> HttpResponse:
    """Change the limit, if nobody else did since the reader looked."""
    wanted = request.POST.get("limit", "")
    existing(name)
    if "see" in request.POST:
        return redirect(f"{reverse('pool', args=[name])}?{urlencode({'limit': wanted})}#editor")

    def verb(who: Author, version: int | None) -> object:
        return sizing.set_limit(name, wanted, who, version)

    answer = refused(request, verb, f"The limit of {name}", "limit", wanted, partial(_effect, name))
    if answer is not None:
        return answer
    found = existing(name)
    editor = "pools/_editor.html" if request.POST.get("row") == "editor" else "pools/_stepper.html"
    return done(request, f"Limit of {name} is {found.limit}.", reverse("pool", args=[name]), (editor, {"pool": found}))


@require_POST
@operators_only
def granularity(request: HttpRequest, name: str) -> HttpResponse:
    """Change who holds the pool's slots, each op or each run, or let it follow the default again."""
    wanted = request.POST.get("granularity", "")
    existing(name)

    def verb(who: Author, version: int | None) -> object:
        return granularities.set_for_pool(name, None if wanted == "default" else wanted, who, version)

    answer = refused(request, verb, f"The granularity of {name}", "granularity", wanted)
    if answer is not None:
        return answer
    context = {"pool": existing(name)}
    text = f"Granularity of {name}: {wanted}."
    return done(request, text, reverse("pool", args=[name]), ("pools/_granularity.html", context))


@require_POST
@operators_only
def describe(request: HttpRequest, name: str) -> HttpResponse:
    _change(lambda: sizing.describe(name, request.POST.get("description", ""), author(request)))
    return changed(request, name, f"{name} is described.")


@require_POST
@operators_only
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Forget the pool's own limit; the pool itself goes if nobody uses it."""
    _change(lambda: sizing.delete(name, author(request)))
    if queries.pool(name) is not None:
        return changed(request, name, f"{name} is on the default limit now.")
    response = done(request, f"{name} is deleted.", reverse("pools"))
    response["HX-Redirect" if "HX-Request" in request.headers else "Location"] = reverse("pools")
    return response


def _effect(name: str, limit: object) -> list[str]:
    number = whole(limit)
    return effects.in_words(outcome.of_pool(name, number), effects.SLOTS)


def existing(name: str) -> PoolView:
    """The pool of this name, or the answer that there is none."""
    found = queries.pool(name)
    if found is None:
        raise Http404(str(NoSuchPool(name)))
    return found


def _change(verb: Any) -> None:
    try:
        verb()
    except NoSuchPool as error:
        raise Http404(str(error)) from error


def changed(request: HttpRequest, name: str, text: str) -> HttpResponse:
    """The answer to a change of a pool, with its buttons."""
    pool = existing(name)
    fragment = ("pools/_actions.html", {"pool": pool, "mark": pauses.mark(pool)})
    return done(request, text, reverse("pool", args=[name]), fragment)
