"""The run queue, its limits, and the settings of the deployment."""

from __future__ import annotations

from django.urls import reverse

from controlplane.dashboard.screens.block import Block
from controlplane.dashboard.screens.changes import changes_of
from controlplane.dashboard.screens.runs import bulk_canceling
from pools import queries as pool_queries
from runs import deployment


def queue(argument: str = "") -> list[Block]:
    picture = pool_queries.picture(also=deployment.counted())
    now = deployment.beside(picture)
    return [
        bulk_canceling(),
        Block("queue-limits", "queue/_summary.html", {"rules": picture.of("run_tag"), "now": now}),
        Block("queue", "queue/_list.html", {"queued": deployment.queued(50, picture), "now": now}),
    ]


def limits(argument: str = "") -> list[Block]:
    now = deployment.now()
    known = {"limits": deployment.queue_limits(now), "now": now}
    return [
        Block("limits-in-use", "queue/_in_use.html", known),
        Block("tag-limits", "queue/_rules.html", known),
        changes_of(reverse("limits"), "runs", "rule:", most=8),
    ]


def settings(argument: str = "") -> list[Block]:
    now = deployment.now()
    in_force = {
        "now": now,
        "limits": deployment.queue_limits(now),
        "settings": pool_queries.settings_with_followers(),
    }
    return [
        Block("in-force", "settings/_in_force.html", in_force),
        changes_of(reverse("settings"), "runs", "rule:", "pools", most=12),
    ]
