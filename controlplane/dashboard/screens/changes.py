"""The change ledger: its page, and the newest changes on others."""

from __future__ import annotations

from controlplane.dashboard.screens.block import Block
from controlplane.dashboard.templatetags.ledger import changes_about
from pools import queries as pool_queries


def changes(argument: str = "") -> list[Block]:
    return [ledger(argument, None)]


def ledger(subject: str, before: int | None, most: int = 50) -> Block:
    """A page of the change ledger, about one subject or all."""
    found = pool_queries.changes(*filter(None, [subject]), most=most + 1, before=before)
    following = found[most - 1].pk if len(found) > most else None
    context = {
        "changes": found[:most],
        "following": following,
        "subject": subject,
        "before": before,
        "at": changes_about(subject, before),
    }
    return Block("changes", "changes/_table.html", context)


def changes_of(at: str, *subjects: str, most: int) -> Block:
    """The newest changes about some subjects, for the page at an address."""
    return Block("changes", "_changes.html", {"changes": pool_queries.changes(*subjects, most=most), "at": at})
