"""How the commands for people behave: exit 0, or 1 with one line on stderr for each thing that is wrong.

Django's own commands exit with 2 and print their usage when an argument is wrong; for these a mistake in
an argument is no different from any other. What a command prints holds no control characters of others.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, handle_default_options
from django.db import connections
from django.utils import timezone

from pools.reasons import Check


class PlainCommand(BaseCommand):
    """A command for people, and for their scripts."""

    requires_system_checks = ()
    mistake = 1  # the exit status when it can't do what it was asked for

    def add_json(self, parser: ArgumentParser) -> None:
        """Offer --json."""
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run_from_argv(self, argv: list[str]) -> None:
        """Parse the arguments, run, and report mistakes. The parser raises CommandError instead of exiting with 2."""
        try:
            options = self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
            handle_default_options(options)
            self.execute(**vars(options))
        except CommandError as error:
            if "--traceback" in argv:
                raise
            for line in str(error).removeprefix("Error: ").splitlines():
                self.stderr.write(f"error: {line}")
            sys.exit(self.mistake)
        finally:
            connections.close_all()

    def print_json(self, value: object) -> None:
        """Print a value as JSON, times in ISO 8601."""
        self.stdout.write(json.dumps(value, indent=2, default=_as_json))

    def print_table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print rows in columns, the last one as long as it is."""
        table = [tuple(header), *(tuple(printable(str(cell)) for cell in row) for row in rows)]
        widths = [max(len(row[column]) for row in table) for column in range(len(header))]
        for row in table:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.stdout.write("  ".join(cells).rstrip())

    def note(self, text: str) -> None:
        """Say something beside the result, on stderr."""
        self.stderr.write(printable(text), str)


def check_in_json(check: Check) -> dict[str, Any]:
    """A gate that applies to a candidate, and whether it has room."""
    return {
        "gate": check.gate.kind,
        "label": check.gate.label,
        "need": check.slots,
        "in_use": check.gate.in_use,
        "limit": check.gate.limit,
        "room": check.room,
        "reason": check.reason or None,
    }


def refusal(lines: Iterable[str]) -> CommandError:
    """The error to raise for several things that are wrong, a line each."""
    return CommandError("\n".join(printable(" ".join(line.split())) for line in lines))


def operating_user() -> str:
    """Who runs this command: the name of the operating system's user."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def printable(text: str) -> str:
    """`text` without what could steer a terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)


def clock(moment: datetime | None) -> str:
    """A time as a person reads it, in the time zone of the settings; empty for none."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _as_json(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no form in JSON")
