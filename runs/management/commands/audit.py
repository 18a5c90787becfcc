"""`manage.py audit`: compare what the engine has written with itself, and set right what differs.

Exit status 0: nothing differs, or all that did was set right; warnings don't count. 1: drift. 2: the audit could not
be made.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pools import claims
from pools.audit.books import Finding
from pools.models import Repair
from pools.sizing import Author
from runs import schema
from runs.audit import record, repairs
from runs.audit.looking import Look
from runs.management.plain_command import PlainCommand, operating_user, printable

DRIFT, FAILED = 1, 2  # exit statuses
Failed = list[tuple[Finding, str]]


class Command(PlainCommand):
    help = (
        "Compare gates, holds, lines, ops, runs, workers and tickets; say what differs, and set it right if asked to."
    )
    mistake = FAILED

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="set right what is found; each repair is recorded")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            schema.require_current()
            found, done, failed, left = self._audit(options["repair"])
        except claims.AWAY as error:
            raise CommandError(f"the database did not answer: {str(error).splitlines()[0]}") from error
        if options["json"]:
            self.print_json(_as_dict(found, done, failed, left))
        else:
            self._print(found, done, failed, left)
        if left.findings:
            sys.exit(DRIFT)

    def _audit(self, repair: bool) -> tuple[Look, list[Repair], Failed, Look]:
        """Audit, and with `repair` set right what was found and audit again. The last look says what is left."""
        author = Author(operating_user(), "cli")
        found = record.audited(author)
        if not (repair and found.findings):
            return found, [], [], found
        done, failed = repairs.repair_all(found.findings, author)
        return found, done, failed, record.audited(author)

    def _print(self, found: Look, done: list[Repair], failed: Failed, left: Look) -> None:
        for text in left.unseen:
            self.note(text)
        for warning in left.warnings:
            self.stdout.write(printable(f"warning: {warning.kind}: {warning.text}; {warning.remedy}"))
        if not found.findings:
            self.stdout.write("no drift")
            return
        if left is found:
            rows = [(finding.kind, finding.text, finding.remedy) for finding in found.findings]
            self.print_table(("KIND", "FOUND", "A REPAIR WOULD"), rows)
            return
        for made in done:
            self.stdout.write(printable(f"repaired: {made.found}: {made.done}"))
        for finding, why in failed:
            self.stdout.write(printable(f"not repaired: {finding.text}: {why}"))
        number = len(left.findings)
        self.stdout.write(f"{number} left" if number else "no drift any more")


def _as_dict(found: Look, done: list[Repair], failed: Failed, left: Look) -> dict[str, Any]:
    return {
        "at": found.at,
        "drift": len(left.findings),
        "kinds": record.by_kind((*left.findings, *left.warnings)),
        "findings": [record.as_dict(finding) for finding in found.findings],
        "repairs": [
            {"at": made.at, "who": made.who, "kind": made.kind, "subject": made.subject, "done": made.done}
            for made in done
        ],
        "not_repaired": [record.as_dict(finding) | {"why": why} for finding, why in failed],
        "warnings": [record.as_dict(warning) for warning in left.warnings],
        "unseen": list(left.unseen),
    }
