"""`manage.py launch`: launch a job, or assets without one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Count

from runs import catalog, launch, launch_document, plans, queries, schema, states, system_tags, watch
from runs.config import loading
from runs.config.values import InvalidConfiguration
from runs.launch_document import Document, InvalidDocument
from runs.management.plain_command import PlainCommand, operating_user, printable, refusal
from runs.models import Op, Run
from runs.words import duration


class Command(PlainCommand):
    help = "Launch a job, or a set of assets, and wait for its end if asked to."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="JOB", nargs="?")
        parser.add_argument("--select", metavar="A,B,C", help="launch these assets, without a job")
        parser.add_argument(
            "--tag", metavar="K=V", action="append", default=[], help="a tag; may be given several times"
        )
        parser.add_argument("--priority", metavar="N", help="higher goes first; a whole number, 0 without")
        parser.add_argument(
            "--param", metavar="K=V", action="append", default=[], help="a param of the job; may be given several times"
        )
        parser.add_argument("--file", metavar="FILE", help="params, tags and priority in YAML; the options come on top")
        parser.add_argument("--wait", action="store_true", help="wait for the end; exit 0 only on success")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        schema.require_current()
        run = self._launch(options)
        notes = launch.warnings(run.tags, plans.load(run.plan_id))
        for note in notes:
            self.note(f"warning: {note}")
        if not options["wait"]:
            self._report(run, notes, options["json"])
            return
        try:
            run = watch.until_over(run.pk, self._progress())
        except KeyboardInterrupt:
            raise CommandError(f"not waiting any more; run {run.uid} goes on.") from None
        except Run.DoesNotExist:
            raise CommandError(f"run {run.uid} is not there any more.") from None
        self._report(run, notes, options["json"])
        if run.state != states.SUCCESS:
            raise refusal([f"run {run.short} ended: {run.state}{_first_error(run)}"])

    def _launch(self, options: dict[str, Any]) -> Run:
        errors: dict[str, str] = {}
        document = _document(options["file"])
        tags = {**document.tags, **_pairs("tag", options["tag"], errors)}
        values = {**document.params, **_pairs("param", options["param"], errors)}
        priority = _priority(options["priority"], document.priority, tags, errors)
        if bool(options["job"]) == bool(options["select"]):
            errors["job"] = "name a job, or assets with --select" + (", not both" if options["job"] else "")
        try:
            if errors:
                raise launch.CannotLaunch(errors)
            with redirect_stdout(sys.stderr):  # what modules print while they are loaded is not our result
                offered = catalog.current()
            if options["job"]:
                job = launch.find_job(offered, options["job"])
            else:
                job = launch.find_assets(offered, (name.strip() for name in options["select"].split(",")))
            return launch.launch(job, who=operating_user(), door="cli", tags=tags, priority=priority, values=values)
        except launch.CannotLaunch as error:
            lines = [f"{name}: {text}" if name else text for name, text in error.errors.items()]
            if not errors and error.errors.keys() & {"job", "select"}:
                lines[-1] += _problems(offered.problems)
            raise refusal(lines) from error

    def _progress(self) -> Callable[[Run], None]:
        """What to call with every look: on a terminal, a line on stderr that is written over."""
        if not self.stderr.isatty():
            return lambda run: None
        written = ""

        def show(run: Run) -> None:
            nonlocal written
            counted = dict(Op.objects.filter(run=run).values_list("state").annotate(Count("id")).order_by())
            done = sum(counted.get(state, 0) for state in states.OP_TERMINAL)
            line = (
                f"{printable(queries.job_name(run))} {run.short}: {run.state}, {done} of {sum(counted.values())} done"
            )
            if running := counted.get(states.RUNNING):
                line += f", {running} running"
            if line != written or run.over:
                self.stderr.write(f"\r\033[K{line}", str, ending="\n" if run.over else "")
                self.stderr.flush()
                written = line

        return show

    def _report(self, run: Run, notes: Sequence[str], as_json: bool) -> None:
        if as_json:
            report: dict[str, Any] = {
                "run": run.uid,
                "state": run.state,
                "job": queries.job_name(run),
                "queued_at": run.queued_at,
                "started_at": run.started_at,
                "ended_at": run.ended_at,
                "warnings": list(notes),
            }
            self.print_json(report)
            return
        took = f" after {duration((run.ended_at - run.queued_at).total_seconds())}" if run.ended_at else ""
        self.stdout.write(f"run {run.uid} of {queries.job_name(run)}: {run.state}{took}")


def _pairs(option: str, entries: Sequence[str], errors: dict[str, str]) -> dict[str, str]:
    """`k=v` entries as a dict; what is wrong goes to `errors`."""
    found: dict[str, str] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or not key:
            errors[option] = f"{entry!r} is not allowed: write --{option} KEY=VALUE"
        elif key in found:
            errors[option] = f"{key!r} is given twice"
        found[key] = value
    return found


def _document(path: str | None) -> Document:
    """What a file asks for; nothing without one. Raises CommandError."""
    try:
        return launch_document.parse(loading.text_of(path)) if path else Document()
    except (InvalidConfiguration, InvalidDocument) as error:
        raise refusal(error.errors) from error


def _priority(text: str | None, in_file: int | None, tags: Mapping[str, Any], errors: dict[str, str]) -> int | None:
    number = in_file if text is None else system_tags.as_priority(text)
    if text is None and in_file is None:
        return None
    if number is None:
        errors["priority"] = f"{text!r} is not allowed: use a whole number"
    elif system_tags.PRIORITY in tags:
        errors["priority"] = f"it is given twice, with --priority and as the tag {system_tags.PRIORITY}"
    return number


def _problems(problems: Sequence[catalog.Problem]) -> str:
    """Why something may be missing: definitions that could not be loaded."""
    if not problems:
        return ""
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"; not loaded: {first.where or first.module}: {first.text}{more}"


def _first_error(run: Run) -> str:
    failed = list(Op.objects.filter(run=run, state=states.FAILURE).order_by("rank"))
    if not failed:
        return ""
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"; op {failed[0].key}: {failed[0].error}{more}"
