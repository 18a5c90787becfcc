"""`manage.py changes`: the change ledger, and undoing a change."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from pools import queries, sizing
from pools.models import Change
from pools.sizing import Author
from runs import granularity, ledger, schema
from runs.management.plain_command import PlainCommand, clock, operating_user, refusal

MOST = 1000


class Command(PlainCommand):
    help = "List the changes of limits, newest first, or undo one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--subject", default="", metavar="S", help="only those about S, such as pool:database")
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many, 20 if not given")
        self.add_json(parser)
        actions = parser.add_subparsers(dest="action", metavar="ACTION")
        summary = "Set back what a change changed, if nothing newer was written about the same."
        revert = actions.add_parser("revert", help=summary, description=summary)
        revert.add_argument("id", metavar="ID", type=int, help="the number of the change")
        revert.add_argument("--why", default="", help="the reason, kept with the change")

    def handle(self, *args: Any, **options: Any) -> None:
        schema.require_current()
        if options["action"] == "revert":
            self._revert(options)
        else:
            self._list(options)

    def _list(self, options: dict[str, Any]) -> None:
        if not 1 <= options["limit"] <= MOST:
            raise CommandError(f"--limit: {options['limit']} is not allowed: use a whole number from 1 to {MOST}.")
        found = queries.changes(*filter(None, [options["subject"]]), most=options["limit"])
        if options["json"]:
            self.print_json([_as_dict(change) for change in found])
            return
        header = ("ID", "WHEN", "WHO", "DOOR", "SUBJECT", "FIELD", "FROM", "TO", "WHY")
        self.print_table(header, [_row(change) for change in found])

    def _revert(self, options: dict[str, Any]) -> None:
        author = Author(operating_user(), "cli", options["why"])
        try:
            made = ledger.revert(options["id"], author)
        except (ledger.NoSuchChange, ledger.CannotRevert, sizing.Conflict, granularity.WouldDeadlock) as error:
            raise refusal([str(error)]) from error
        text = f"change {options['id']} undone by change {made.pk}: {made.subject} {made.field}"
        if options["json"]:
            self.print_json(_as_dict(made))
            return
        self.stdout.write(f"{text}: {made.before or '-'} -> {made.after or '-'}")


def _row(change: Change) -> tuple[object, ...]:
    at, before, after = clock(change.at), change.before or "-", change.after or "-"
    return (change.pk, at, change.who, change.door, change.subject, change.field, before, after, change.why)


def _as_dict(change: Change) -> dict[str, Any]:
    """A change in JSON."""
    return {
        "id": change.pk,
        "at": change.at,
        "who": change.who,
        "door": change.door,
        "subject": change.subject,
        "field": change.field,
        "before": change.before,
        "after": change.after,
        "why": change.why,
        "reverts": change.reverts_id,
    }
