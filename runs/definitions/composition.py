"""How calling ops in the body of a @job function makes the dependencies between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runs.definitions.checks import LONGEST_NAME, DefinitionError

if TYPE_CHECKING:
    from runs.definitions.ops import OpDefinition


@dataclass(frozen=True)
class Node:
    """An op in a job under its step key, and from which step keys its inputs come."""

    key: str
    op: OpDefinition
    inputs: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)  # a tuple: a list of values
    after: tuple[str, ...] = ()  # upstream without a value

    @property
    def upstream(self) -> tuple[str, ...]:
        """All step keys that must have succeeded before, each once."""
        keys: dict[str, None] = {}
        for source in self.inputs.values():
            keys.update(dict.fromkeys((source,) if isinstance(source, str) else source))
        keys.update(dict.fromkeys(self.after))
        return tuple(keys)


@dataclass(frozen=True)
class NodeOutput:
    """What calling an op inside @job returns: a promise of its value."""

    key: str


class Builder:
    """Collects the ops that are called in the body of a @job function."""

    def __init__(self, job_name: str) -> None:
        self.job_name = job_name
        self.nodes: dict[str, Node] = {}

    def add(
        self, op: OpDefinition, key: str, args: Sequence[Any], kwargs: Mapping[str, Any], given: bool = False
    ) -> NodeOutput:
        if key in self.nodes:
            if given:
                raise DefinitionError(f"job {self.job_name}: step key {key} stands twice; give each alias once.")
            number = 2
            while f"{key}_{number}" in self.nodes:
                number += 1
            key = f"{key}_{number}"
        if len(key) > LONGEST_NAME:
            raise DefinitionError(
                f"job {self.job_name}: step key {key} is longer than {LONGEST_NAME} characters: "
                "give it a shorter alias."
            )
        where = f"job {self.job_name}, op {key}"
        if len(args) > len(op.inputs):
            raise DefinitionError(f"{where}: {len(args)} inputs given, it takes {len(op.inputs)}.")
        given_inputs = dict(zip(op.inputs, args, strict=False))
        for name, value in kwargs.items():
            if name not in op.inputs:
                raise DefinitionError(f"{where}: no input {name!r}; it takes {', '.join(op.inputs) or 'none'}.")
            if name in given_inputs:
                raise DefinitionError(f"{where}: input {name!r} given twice.")
            given_inputs[name] = value
        missing = [name for name in op.inputs if name not in given_inputs and name not in op.optional_inputs]
        if missing:
            raise DefinitionError(f"{where}: input {missing[0]!r} is missing; pass the output of another op.")
        inputs = {name: self._source(value, f"{where}: input {name!r}") for name, value in given_inputs.items()}
        self.nodes[key] = Node(key, op, inputs)
        return NodeOutput(key)

    def _source(self, value: Any, where: str) -> str | tuple[str, ...]:
        if isinstance(value, NodeOutput) and value.key in self.nodes:
            return value.key
        if isinstance(value, list) and value and all(isinstance(v, NodeOutput) and v.key in self.nodes for v in value):
            return tuple(v.key for v in value)
        raise DefinitionError(
            f"{where}: {value!r} is not allowed: pass the output of an op of this job, or a list of them."
        )


building: list[Builder] = []
