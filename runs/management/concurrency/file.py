"""`manage.py concurrency apply`, `export` and `schema`: what is about the configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runs import config
from runs.config import Difference
from runs.management.concurrency.action import Actions, author
from runs.management.plain_command import PlainCommand, printable


def add(actions: Actions) -> None:
    """Declare these actions."""
    found = actions.add("apply", "Set what a configuration file says; leave alone what it does not mention.", _apply)
    found.add_argument("file", metavar="FILE")
    found.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
    found.add_argument("--prune", action="store_true", help="also forget what was set for pools that are not listed")
    found.add_argument("--json", action="store_true", help="print JSON")
    found = actions.add("export", "Print the configuration file of what is in force.", _export, why=False)
    found.add_argument("--json", action="store_true", help="print JSON")
    actions.add("schema", "Print the JSON Schema of the configuration file.", _schema, why=False)


def _apply(command: PlainCommand, options: dict[str, Any]) -> None:
    found = config.differences(config.read(options["file"]), prune=options["prune"])
    if not options["json"]:
        for difference in found:
            command.stdout.write(printable(str(difference)))
    if not options["dry_run"]:
        config.apply(found, author(options, door="file"))
    if options["json"]:
        command.print_json({"applied": not options["dry_run"], "changes": [_as_dict(change) for change in found]})
    elif not found:
        command.stdout.write("Nothing to change.")
    else:
        command.stdout.write(
            f"{_counted(found)}, nothing written." if options["dry_run"] else f"{_counted(found)} applied."
        )


def _export(command: PlainCommand, options: dict[str, Any]) -> None:
    if options["json"]:
        command.print_json(config.document())
    else:
        command.stdout.write(config.as_yaml(config.document()), ending="")


def _schema(command: PlainCommand, options: dict[str, Any]) -> None:
    command.stdout.write(config.as_json(), ending="")


def _as_dict(difference: Difference) -> dict[str, Any]:
    return {"path": difference.path, "before": difference.before, "after": difference.after}


def _counted(found: Sequence[Difference]) -> str:
    return "1 change" if len(found) == 1 else f"{len(found)} changes"
