"""Pools: who holds, who waits, and how many slots there are."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.views.page import author, done, into_dialog, page
from pools import queries, sizing
from pools.limits import InvalidLimit, pool_limit, pool_name
from pools.queries import PoolView
from pools.sizing import Conflict, NoSuchPool


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
def show(request: HttpRequest, name: str) -> HttpResponse:
    try:
        blocks = screens.pool(name)
    except LookupError:
        raise Http404(
            f"No pool is called {name}. Pools appear when an op names one, or create it on the pools page."
        ) from None
    return page(
        request, "pools/show.html", blocks, topic=f"pool:{name}", here="pools", pool=queries.pool(name), name=name
    )


@require_POST
@operators_only
def limit(request: HttpRequest, name: str) -> HttpResponse:
    """Change the limit, if nobody else did since the reader looked."""
    wanted = request.POST.get("limit", "")
    version = request.POST.get("version", "")
    editor = "pools/_editor.html" if request.POST.get("editor") else "pools/_stepper.html"
    _existing(name)
    try:
        sizing.set_limit(name, wanted, author(request), int(version) if version.isdecimal() else None)
    except InvalidLimit as error:
        return into_dialog(request, "_message.html", 422, title="The limit was not changed.", text=str(error))
    except Conflict as conflict:
        return into_dialog(
            request,
            "pools/_conflict.html",
            409,
            action=reverse("pool-limit", args=[name]),
            what=f"The limit of {name}",
            wanted=pool_limit(wanted),
            conflict=conflict,
            editor=request.POST.get("editor", ""),
            why=request.POST.get("why", ""),
            target=f"#{request.POST['row']}" if request.POST.get("row") else "",
        )
    found = _existing(name)
    return done(request, f"Limit of {name} is {found.limit}.", reverse("pool", args=[name]), (editor, {"pool": found}))


@require_POST
@operators_only
def pause(request: HttpRequest, name: str) -> HttpResponse:
    _change(lambda: sizing.pause(name, author(request)))
    return _changed(request, name, f"{name} is paused: nobody new starts.")


@require_POST
@operators_only
def resume(request: HttpRequest, name: str) -> HttpResponse:
    _change(lambda: sizing.resume(name, author(request)))
    return _changed(request, name, f"{name} is open again.")


@require_POST
@operators_only
def describe(request: HttpRequest, name: str) -> HttpResponse:
    _change(lambda: sizing.describe(name, request.POST.get("description", ""), author(request)))
    return _changed(request, name, f"{name} is described.")


@require_POST
@operators_only
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Forget the pool's own limit; the pool itself goes if nobody uses it."""
    _change(lambda: sizing.delete(name, author(request)))
    if queries.pool(name) is not None:
        return _changed(request, name, f"{name} is on the default limit now.")
    response = done(request, f"{name} is deleted.", reverse("pools"))
    response["HX-Redirect" if "HX-Request" in request.headers else "Location"] = reverse("pools")
    return response


@require_POST
@operators_only
def default(request: HttpRequest) -> HttpResponse:
    """The limit of pools that have none of their own; empty: unlimited."""
    wanted, version = request.POST.get("limit", "").strip(), request.POST.get("version", "")
    try:
        sizing.set_default_limit(wanted or None, author(request), int(version) if version.isdecimal() else None)
    except InvalidLimit as error:
        return into_dialog(request, "_message.html", 422, title="The default limit was not changed.", text=str(error))
    except Conflict as conflict:
        return into_dialog(
            request,
            "pools/_conflict.html",
            409,
            action=reverse("default-limit"),
            what="The default limit",
            wanted=wanted or "no limit",
            posted=wanted,
            conflict=conflict,
            target="#default-limit",
        )
    settings = queries.pool_settings()
    shown = "unlimited" if settings.default_limit is None else settings.default_limit
    return done(
        request, f"Default limit is {shown}.", reverse("pools"), ("pools/_default.html", {"settings": settings})
    )


def _existing(name: str) -> PoolView:
    found = queries.pool(name)
    if found is None:
        raise Http404(str(NoSuchPool(name)))
    return found


def _change(verb: Any) -> None:
    try:
        verb()
    except NoSuchPool as error:
        raise Http404(str(error)) from error


def _changed(request: HttpRequest, name: str, text: str) -> HttpResponse:
    return done(request, text, reverse("pool", args=[name]), ("pools/_actions.html", {"pool": _existing(name)}))
