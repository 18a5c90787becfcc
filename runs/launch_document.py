"""What a launch is asked for as one document: the params, the tags, the priority; as YAML, as JSON, from a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

from pools.limits import named, shown
from runs import params, system_tags
from runs.catalog import Job
from runs.config import loading
from runs.config.exporting import as_yaml
from runs.config.values import InvalidConfiguration
from runs.models import Run
from runs.reexecution import OWN_TAGS

PARTS = ("params", "tags", "priority")
LONGEST_LINE = 100


class InvalidDocument(ValueError):
    """A text that is no such document. `errors` are lines, each with its place."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


@dataclass(frozen=True)
class Document:
    """What a launch is asked for. `tags` are added to the job's. Whether it can be launched is not said."""

    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None

    @property
    def as_json(self) -> dict[str, Any]:
        return {"params": dict(self.params), "tags": dict(self.tags), "priority": self.priority}


def parse(text: str) -> Document:
    """The document that a text in YAML is. Raises InvalidDocument."""
    try:
        found = loading.load_data(text, "YAML")
    except InvalidConfiguration as error:
        raise InvalidDocument(list(error.errors)) from error
    if found is None:
        return Document()
    if not isinstance(found, dict):
        raise InvalidDocument([f"YAML: {shown(found)} is not allowed: use a mapping with {', '.join(PARTS)}."])
    errors = [f"{named(name)}: unknown; there are {', '.join(PARTS)}." for name in found if name not in PARTS]
    for name in ("params", "tags"):
        if not isinstance(found.get(name) or {}, dict):
            errors.append(f"{name}: {shown(found[name])} is not allowed: use a mapping.")
    priority = found.get("priority")
    if type(priority) not in (int, type(None)):
        errors.append(f"priority: {shown(priority)} is not allowed: use a whole number, or leave it out.")
    if errors:
        raise InvalidDocument(errors)
    return Document(found.get("params") or {}, found.get("tags") or {}, priority)


def as_text(document: Document, job: Job) -> str:
    """A document as YAML. Params that are not given stand there as comments."""
    named_params = "\n".join(_params(document, job))
    lines = [
        f"params:\n{named_params}" if named_params else "params: {}",
        as_yaml({"tags": dict(document.tags)}).rstrip(),
        "priority:" + ("" if document.priority is None else f" {document.priority}"),
    ]
    return "\n".join(lines) + "\n"


def _params(document: Document, job: Job) -> Iterator[str]:
    specs = params.fields(job.params) if job.params else {}
    for name, spec in specs.items():
        if spec.get("description"):
            yield f"  # {_cut(spec['description'])}"
        if name in document.params:
            yield indent(as_yaml({name: document.params[name]}).rstrip(), "  ")
        elif "default" in spec:
            yield f"  # {name}: {_cut(as_yaml(spec['default'], flow=True))}"
        else:
            within = f", with {', '.join(spec['properties'])}" if spec.get("properties") else ""
            yield f"  # {name}:" + (f" required{_cut(within)}" if spec["must_be_given"] else "")
    for name in document.params:
        if name not in specs:
            yield indent(as_yaml({name: document.params[name]}).rstrip(), "  ")


def _cut(text: str) -> str:
    line = " ".join(text.removesuffix("\n...\n").split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def of_run(run: Run, job: Job) -> Document:
    """What has to be asked for to launch the same again. What the job adds by itself, and what its run says about
    itself, is left out.
    """
    tags = {key: value for key, value in run.tags.items() if key not in OWN_TAGS and job.tags.get(key) != value}
    priority = system_tags.as_priority(tags.get(system_tags.PRIORITY))
    if priority is not None and abs(priority) <= system_tags.HIGHEST_PRIORITY:
        del tags[system_tags.PRIORITY]
        return Document(run.params, tags, priority)
    return Document(run.params, tags)
