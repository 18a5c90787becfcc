"""How many ops of one run may run at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runs import tag_limits
from runs.definitions.checks import DefinitionError
from runs.tag_limits import TagLimit

HIGHEST = 2**31 - 1


@dataclass(frozen=True)
class ExecutorDefinition:
    """How many ops of one run may run at a time, and which of them together.

    `max_concurrent` None: no limit of its own. Every op runs in a process of its own in either executor.
    """

    name: str
    max_concurrent: int | None = None
    tag_limits: tuple[TagLimit, ...] = ()

    def configured(self, config: Mapping[str, Any], name: str | None = None) -> ExecutorDefinition:
        """The executor with `max_concurrent` (0 or None: no limit) and `tag_concurrency_limits`.

        What is not given stays. `retries: {"enabled": {}}` is how it is anyway. `name` has no effect;
        Dagster's authors may give one.
        """
        where = f"{self.name}_executor"
        if not isinstance(config, Mapping):
            raise DefinitionError(f"{where}: {config!r} is not allowed: use a dict.")
        allowed = () if self.name == "in_process" else ("max_concurrent", "tag_concurrency_limits")
        for key, value in config.items():
            if key == "retries" and value not in (None, {"enabled": {}}):
                raise DefinitionError(f"{where}: retries {value!r} is not allowed: use {{'enabled': {{}}}}.")
            if key not in (*allowed, "retries"):
                raise DefinitionError(f"{where}: {key!r} is unknown; allowed: {', '.join(allowed) or 'nothing'}.")
        maximum = config.get("max_concurrent", self.max_concurrent)
        if maximum is not None and (type(maximum) is not int or not 0 <= maximum <= HIGHEST):
            raise DefinitionError(
                f"{where}: max_concurrent {maximum!r} is not allowed: use a whole number, 0 to {HIGHEST} (0: no limit)."
            )
        rules = self.tag_limits
        if "tag_concurrency_limits" in config:
            try:
                rules = tuple(tag_limits.parse(config["tag_concurrency_limits"], f"{where}.tag_concurrency_limits"))
            except tag_limits.InvalidTagLimit as error:
                raise DefinitionError(str(error)) from error
        return ExecutorDefinition(self.name, maximum or None, rules)


multiprocess_executor = ExecutorDefinition("multiprocess")
in_process_executor = ExecutorDefinition("in_process", max_concurrent=1)
