"""One op of a run: look at it, and step in while it waits for its next try."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.roles import operators_only
from controlplane.dashboard.views.page import done, into_dialog, page
from pools.limits import shown, whole
from runs import queries, states, transitions
from runs.models import Op
from runs.queries import OpView

Verb = Callable[[int, int, str], bool]  # op, the attempt that the reader saw, who


@require_safe
def show(request: HttpRequest, uid: str, key: str) -> HttpResponse:
    view = the_op(uid, key)
    topic = "" if view.op.state in states.OP_TERMINAL else f"op:{view.op.pk}"
    blocks = screens.blocks_of_op(view)
    return page(request, "runs/op.html", blocks, topic=topic, here="runs", run=view.op.run, op=view.op)


@require_POST
@operators_only
def retry(request: HttpRequest, uid: str, key: str) -> HttpResponse:
    return _step_in(request, the_op(uid, key).op, transitions.retry_now, "is tried again now.")


@require_POST
@operators_only
def give_up(request: HttpRequest, uid: str, key: str) -> HttpResponse:
    return _step_in(request, the_op(uid, key).op, transitions.give_up, "is not tried again: it has failed.")


def _step_in(request: HttpRequest, op: Op, verb: Verb, text: str) -> HttpResponse:
    """End the delay after the attempt that the reader saw; if it is over, say what the op does now."""
    told = request.POST.get("attempt", "")
    attempt = whole(told)
    if attempt is None or not 0 <= attempt < 2**31:
        what = f"attempt: {shown(told)} is not allowed: use the number of the attempt that failed."
        return into_dialog(request, "_message.html", 422, title="Nothing was changed.", text=what)
    if verb(op.pk, attempt, request.user.get_username()):
        return done(request, f"{op.key} {text}", reverse("op", args=[op.run.uid, op.key]))
    op.refresh_from_db(fields=["state", "attempt"])
    now = f"{op.key} {_stands(op)}: the delay after attempt {attempt} is over. Nothing was changed."
    return into_dialog(request, "_message.html", 409, title=f"{op.key} has moved on since you looked", text=now)


def _stands(op: Op) -> str:
    """What an op does now, in words."""
    match op.state:
        case states.UP_FOR_RETRY:
            return f"waits for its attempt {op.attempt + 1}"
        case states.RUNNING:
            return f"is running its attempt {op.attempt}"
        case states.SUCCESS:
            return "succeeded"
        case states.FAILURE:
            return "has failed"
        case states.READY | states.ADMITTED:
            return "is about to be tried again" if op.attempt else "has not run yet"
        case _:
            return f"is {op.state}"


def the_op(uid: str, key: str) -> OpView:
    """The op under this key of the run with this uid, or the answer that there is none."""
    try:
        view = queries.find_op(uid, key)
    except LookupError as error:
        raise Http404(str(error)) from error
    if view is None:
        raise Http404(f"Run {uid[:8]} has no op {key}.")
    return view
