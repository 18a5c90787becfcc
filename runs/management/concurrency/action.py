"""How an action of `manage.py concurrency` is declared, and what they share. Knows no limit."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, TypeAlias

from django.core.management.base import CommandParser

from pools.sizing import Author
from runs.management.plain_command import PlainCommand, operating_user

Act: TypeAlias = Callable[[PlainCommand, dict[str, Any]], None]


class Actions:
    """The actions of a command."""

    def __init__(self, parser: CommandParser) -> None:
        self._parsers = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def add(self, name: str, summary: str, act: Act, *positional: str, why: bool = True) -> ArgumentParser:
        """Add an action with arguments such as POOL, and --why for those that change something."""
        found = self._parsers.add_parser(name, help=summary, description=summary)
        found.set_defaults(act=act)
        for argument in positional:
            found.add_argument(argument.lower(), metavar=argument)
        if why:
            found.add_argument("--why", default="", help="the reason, kept with the change")
        return found


def author(options: dict[str, Any], door: str = "cli") -> Author:
    """Who runs this command, and why."""
    return Author(operating_user(), door, options["why"])


def changed(command: PlainCommand, name: str, before: object, after: object) -> None:
    """Print what a change did. None is no limit."""
    was, now = own(before), own(after)
    command.stdout.write(f"{name}: {now}, as before" if was == now else f"{name}: {was} -> {now}")


def own(value: object) -> str:
    """A setting in words: `none` where nothing is set, `on` or `off`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


def limit_shown(limit: int | None) -> str:
    """A limit that is in force, in words."""
    return "unlimited" if limit is None else str(limit)
