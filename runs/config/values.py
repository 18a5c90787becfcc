"""What a configuration file sets, once it has been read. Plain values; knows neither YAML nor the database."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from runs.tag_limits import TagLimit


class Unset(enum.Enum):
    """The value of what a file does not mention: it is left alone."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True)
class ListedPool:
    """What a file sets for one pool. With nothing set the pool is only listed: `--prune` keeps it."""

    limit: int | Unset = UNSET
    granularity: str | Unset = UNSET  # op, run; "": the granularity of all pools


@dataclass(frozen=True)
class Configuration:
    """What a file sets."""

    max_concurrent_runs: int | Unset | None = UNSET  # None: no limit (-1 in the file)
    tag_rules: tuple[TagLimit, ...] | Unset = UNSET  # all rules there shall be
    check_at_queue: bool | Unset = UNSET
    default_limit: int | Unset | None = UNSET  # None: pools without a limit of their own are unlimited
    granularity: str | Unset = UNSET  # op, run
    run_buffer: int | Unset = UNSET
    pools: Mapping[str, ListedPool] | Unset = UNSET  # all pools with something of their own, for `--prune`


class InvalidConfiguration(ValueError):
    """A file that can't be applied. `errors` has one line for each thing that is wrong with it."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = tuple(errors)
