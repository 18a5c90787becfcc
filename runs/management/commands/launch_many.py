"""`manage.py launch_many`: launch many runs, a line of JSON each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, redirect_stdout
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pools.limits import named, shown
from runs import catalog, launch, schema
from runs.launch import Asked, CannotLaunch
from runs.management.plain_command import PlainCommand, operating_user, refusal

MOST_TOLD = 20  # lines that can't be launched, of which each is named
PARTS: dict[str, tuple[type, str]] = {
    "job": (str, "a text"),
    "select": (list, "a list of assets"),
    "params": (dict, "a mapping"),
    "tags": (dict, "a mapping"),
    "priority": (int, "a whole number"),
}


class Command(PlainCommand):
    help = "Launch many runs: a line of JSON each, with job or select, params, tags, priority."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the lines; -: the standard input")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        schema.require_current()
        with redirect_stdout(sys.stderr):  # what modules print while they are loaded is not our result
            offered = catalog.current()
        lines, asked = _read(options["file"], offered)
        try:
            parts = launch.launch_all(asked, who=operating_user(), door="cli")
        except CannotLaunch as error:
            raise _refused([(lines[int(place)], text) for place, text in _by_place(error.errors)]) from error
        uids: list[str] = []
        try:
            for part in parts:
                uids += part
                self._progress(len(uids), len(asked))
        except KeyboardInterrupt:
            raise CommandError(f"stopped: {len(uids)} of {len(asked)} runs are launched, the first lines.") from None
        if options["json"]:
            self.print_json({"launched": len(uids), "runs": uids})
        else:
            self.stdout.write(f"{len(uids)} runs are launched")

    def _progress(self, done: int, of: int) -> None:
        """On a terminal, a line on stderr that is written over."""
        if self.stderr.isatty():
            self.stderr.write(f"\r\033[K{done} of {of} launched", str, ending="\n" if done == of else "")
            self.stderr.flush()


def _read(path: str, offered: catalog.Catalog) -> tuple[list[int], list[Asked]]:
    """The runs that are asked for, and the number of each one's line. Raises CommandError."""
    lines: list[int] = []
    asked: list[Asked] = []
    wrong: list[tuple[int, str]] = []
    jobs: dict[str, catalog.Job] = {}
    for number, text in _lines(path):
        try:
            asked.append(_asked(_entry(text), offered, jobs))
            lines.append(number)
        except CannotLaunch as error:
            wrong += [(number, f"{name}: {why}" if name else why) for name, why in error.errors.items()]
    if wrong:
        raise _refused(wrong)
    return lines, asked


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1. Raises CommandError."""
    try:
        with nullcontext(sys.stdin) if path == "-" else open(path, encoding="utf-8-sig") as file:
            yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())
    except (OSError, ValueError) as error:  # ValueError: no UTF-8
        raise refusal([f"{path}: {getattr(error, 'strerror', None) or error}"]) from error


def _entry(text: str) -> dict[str, Any]:
    """A line as a mapping of known parts. Raises CannotLaunch."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CannotLaunch({"": f"it is no JSON: {error}"}) from error
    if not isinstance(found, dict):
        raise CannotLaunch({"": f"{shown(found)} is not allowed: use a mapping with {', '.join(PARTS)}"})
    errors = {named(name): f"unknown; there are {', '.join(PARTS)}" for name in found if name not in PARTS}
    for name, (kind, allowed) in PARTS.items():
        value = found.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            errors[name] = f"{shown(value)} is not allowed: use {allowed}"
    if errors:
        raise CannotLaunch(errors)
    return found


def _asked(entry: Mapping[str, Any], offered: catalog.Catalog, jobs: dict[str, catalog.Job]) -> Asked:
    """What a line asks for; a job is looked up once. Raises CannotLaunch."""
    name, select = entry.get("job"), entry.get("select")
    if (name is None) == (select is None):
        raise CannotLaunch({"job": "name a job, or assets by select" + (", not both" if name else "")})
    mark = json.dumps([name, select])
    if mark not in jobs:
        jobs[mark] = (
            launch.find_job(offered, name) if name is not None else launch.find_assets(offered, map(str, select or ()))
        )
    return Asked(jobs[mark], entry.get("tags"), entry.get("priority"), entry.get("params"))


def _by_place(errors: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, text in errors.items():
        place, _, name = key.partition(".")
        yield place, f"{name}: {text}" if name else text


def _refused(wrong: list[tuple[int, str]]) -> CommandError:
    """None is launched, and why."""
    told = [f"line {number}: {text}" for number, text in wrong[:MOST_TOLD]]
    more = len(wrong) - len(told)
    return refusal([*told, *([f"and {more} more"] if more else []), "none was launched"])
