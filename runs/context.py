"""What an op's function is given as its first argument."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OpExecutionContext:
    """Who this op is, in which run and which attempt, and where to log.

    `tags` are the run's tags, `op_tags` the op's own. `params` is what the job's params type makes of the
    launch, or a plain dict for a job without one. `attempt` counts from 1. `idempotency_key` is the same for every
    attempt of this op in this run, and for no other op: after a crash an attempt may run what another one had done.
    """

    run_id: str
    job_name: str
    op_key: str
    attempt: int
    idempotency_key: str
    tags: Mapping[str, str]
    op_tags: Mapping[str, str]
    params: Any
    log: logging.Logger

    @property
    def retry_number(self) -> int:
        """How many attempts came before this one."""
        return self.attempt - 1

    def has_tag(self, key: str) -> bool:
        """Whether the run has this tag."""
        return key in self.tags

    def get_tag(self, key: str) -> str | None:
        """The run's value of this tag."""
        return self.tags.get(key)


class AssetExecutionContext(OpExecutionContext):
    """The same, for an op that produces an asset."""

    @property
    def asset_key(self) -> str:
        """The name of the asset."""
        return self.op_key
