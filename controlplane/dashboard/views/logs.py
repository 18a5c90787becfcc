"""The log of a run: read it by pages, follow it, find lines in it, link to one, take it home as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.core.exceptions import BadRequest
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from controlplane.dashboard import screens
from controlplane.dashboard.templatetags.logs import as_text
from controlplane.dashboard.views.page import page
from controlplane.dashboard.views.runs import the_run
from pools.limits import shown, whole
from runs import log_lines
from runs.log_lines import LogFilter, Page
from runs.models import LogLine, Op, Run

MOST_OPS = 200  # that are offered as a list; of more, one is written
LONGEST_TEXT = 200
LEVEL_NAMES = {
    "warning": "Warnings and errors", "error": "Errors", "info": "Info", "debug": "Debug", "printed": "Printed",
}  # fmt: skip


@require_safe
def show(request: HttpRequest, uid: str) -> HttpResponse:
    run = the_run(uid)
    ops = dict(Op.objects.filter(run=run).order_by("rank").values_list("key", "pk")[: MOST_OPS + 1])
    chosen = _chosen(request.GET, run, ops)
    lines, marked = _page_of(request.GET, run, chosen.wanted)
    at_end = lines.after is None and not marked and "after" not in request.GET
    goes_on = at_end and not run.over
    follows = goes_on and request.GET.get("tail") != "off"
    return page(
        request,
        "runs/logs.html",
        screens.blocks_of_log(run, live=goes_on),
        topic=f"log:{run.pk}" if goes_on else "",
        here="runs",
        run=run,
        lines=lines,
        marked=marked,
        chosen=chosen,
        at_end=at_end,
        goes_on=goes_on,
        follows=follows,
        keys=list(ops)[:MOST_OPS],
        whole_list=len(ops) <= MOST_OPS,
        levels=LEVEL_NAMES,
        looks=log_lines.LOOKS,
    )


@require_safe
def fresh(request: HttpRequest, uid: str) -> HttpResponse:
    """The lines that a reader has not seen yet; see `log_lines.fresh`."""
    run = the_run(uid)
    settled, last, seen = (_number(request.GET, name) or 0 for name in ("settled", "last", "seen"))
    lines = log_lines.fresh(_chosen(request.GET, run).wanted, settled, last, seen)
    return render(request, "runs/_log_fresh.html", {"run": run, "lines": lines})


@require_safe
def download(request: HttpRequest, uid: str) -> HttpResponseBase:
    """All lines that match, as text, part by part: however long the log is, little of it is in memory."""
    run = the_run(uid)
    parts = log_lines.everything(_chosen(request.GET, run).wanted)
    text = _texts_of_asgi(parts) if isinstance(request, ASGIRequest) else map(as_text, parts)
    response = StreamingHttpResponse(text, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{run.short}.log"'
    return response


async def _texts_of_asgi(parts: Iterator[Sequence[LogLine]]) -> AsyncIterator[str]:
    """The same where the server would otherwise collect all parts before it sends one."""
    while (text := await sync_to_async(_next_text, thread_sensitive=False)(parts)) is not None:
        yield text


def _next_text(parts: Iterator[Sequence[LogLine]]) -> str | None:
    try:
        lines = next(parts, None)
        return None if lines is None else as_text(lines)
    finally:
        connections.close_all()


@dataclass(frozen=True)
class Chosen:
    """What a reader chose to see, as an address says it."""

    wanted: LogFilter
    op: str
    address: str

    @property
    def query(self) -> str:
        """The filter as the beginning of a query, ready for one more parameter."""
        told = {"op": self.op, "level": self.wanted.level, "text": self.wanted.text}
        chosen = urlencode({name: value for name, value in told.items() if value})
        return f"?{chosen}&" if chosen else "?"

    @property
    def end(self) -> str:
        """The address of the log's end under this filter."""
        return self.address + self.query.rstrip("?&")


def _chosen(query: QueryDict, run: Run, ops: Mapping[str, int] | None = None) -> Chosen:
    """The filter of an address; some of the run's ops may be known already. Raises BadRequest, Http404."""
    key, level, text = (query.get(name, "").strip() for name in ("op", "level", "text"))
    if level and level not in log_lines.LEVELS:
        raise BadRequest(f"level: {shown(level)} is not allowed: use {', '.join(log_lines.LEVELS)}, or nothing.")
    if len(text) > LONGEST_TEXT:
        raise BadRequest(f"text: {len(text)} characters are too many: use up to {LONGEST_TEXT}.")
    op_id = (ops or {}).get(key)
    if key and op_id is None:
        op_id = Op.objects.filter(run=run, key=key).values_list("pk", flat=True).first()
    if key and op_id is None:
        raise Http404(f"Run {run.short} has no op {key}.")
    return Chosen(LogFilter(run.pk, op_id, level, text), key, reverse("run-logs", args=[run.uid]))


def _page_of(query: QueryDict, run: Run, wanted: LogFilter) -> tuple[Page, int | None]:
    """The page of an address, and the line that it marks. Raises BadRequest, Http404."""
    line_id, before, after = (_number(query, name) for name in ("line", "before", "after"))
    if line_id is not None:
        line = log_lines.find(run, line_id)
        if line is None:
            raise Http404(f"The log of run {run.short} has no line {line_id}. Old logs may have been removed.")
        return log_lines.around(wanted, line), line_id
    if after is not None:
        return log_lines.newer(wanted, after), None
    return log_lines.older(wanted, before), None


def _number(query: QueryDict, name: str) -> int | None:
    """The id that a parameter has, None without it. Raises BadRequest."""
    told = query.get(name, "")
    number = whole(told) if told else None
    if told and (number is None or not 0 <= number < log_lines.LAST):
        raise BadRequest(f"{name}: {shown(told)} is not allowed: use the number of a line.")
    return number
