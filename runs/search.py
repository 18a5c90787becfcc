"""Finds what a person means by a few letters: runs, ops at work or waiting, jobs, assets, pools, a tag."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from pools.models import Pool
from runs import catalog, present, queries
from runs.catalog import ASSET_JOB, Catalog, Job
from runs.kept import Preset
from runs.models import Op, Run

MOST = 6  # of each kind
LONGEST = 200
LOOKED_THROUGH = 5_000  # ops that wait, and so many that are at work; and runs


@dataclass(frozen=True)
class Found:
    """What was found, a few of each kind. `tag`: key=value, if that was asked for."""

    text: str
    tag: str = ""
    to_launch: bool = False  # only what can be launched was asked for
    jobs: Sequence[Job] = field(default_factory=list)
    assets: Sequence[str] = field(default_factory=list)
    pools: Sequence[Pool] = field(default_factory=list)
    presets: Sequence[Preset] = field(default_factory=list)
    runs: Sequence[Run] = field(default_factory=list)
    ops: Sequence[Op] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        return not (self.tag or self.jobs or self.assets or self.pools or self.presets or self.runs or self.ops)


def find(text: str) -> Found:
    """Whatever has this text in its name; runs by the beginning of their uid, and those of a job that is found.

    `key=value`, or `tag:key`, asks for the runs with a tag; `launch ...` for jobs and assets alone.
    """
    text = text.strip()[:LONGEST]
    if not text:
        return Found(text)
    if text.startswith("tag:") or "=" in text:
        return Found(text, tag=text.removeprefix("tag:").strip())
    offered, low = catalog.current(), text.lower()
    if (asked := low.split(maxsplit=1))[0] == "launch":
        part = "".join(asked[1:])
        jobs = [job for name, job in sorted(offered.jobs.items()) if part in name.lower()][:MOST]
        assets = [name for name in sorted(offered.assets) if part in name.lower()][:MOST]
        return Found(text, "", True, jobs, assets, presets=_presets(part, offered, whose=True))
    jobs = [job for name, job in sorted(offered.jobs.items()) if low in name.lower()][:MOST]
    assets = [name for name in sorted(offered.assets) if low in name.lower()][:MOST]
    pools = Pool.objects.filter(name__icontains=text).order_by("name")[:MOST]
    ops = present.ops_at_work(LOOKED_THROUGH).filter(key__icontains=text).select_related("run").order_by("-id")[:MOST]
    kept = _presets(text, offered)
    return Found(text, "", False, jobs, assets, list(pools), kept, _runs(low, jobs), list(ops))


def _presets(text: str, offered: Catalog, whose: bool = False) -> list[Preset]:
    """Presets of what is offered by letters of their names; `whose`: or of their jobs' names."""
    named = Q(name__icontains=text) | (Q(job__icontains=text) if whose else Q())
    return list(Preset.objects.filter(named, job__in=[*offered.jobs, ASSET_JOB]).order_by("job", "name")[:MOST])


def _runs(text: str, jobs: Sequence[Job]) -> list[Run]:
    """Runs by uid, the newest first; else those of the jobs that are not over."""
    by_uid = queries.beginning(text).order_by("-id")[:MOST]
    found = list(by_uid) if len(text) > 1 and re.fullmatch(r"[0-9a-f]{2,32}", text) else []
    if found or not jobs:
        return found
    return list(present.runs(LOOKED_THROUGH).filter(job__in=[job.name for job in jobs]).order_by("-id")[:MOST])
