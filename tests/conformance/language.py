"""The language of the scenarios: what a line of text means.

    Scenario: <a sentence>
    needs granularity, pool check       parts of the contract that it is about, see built.py
    fails on the engine: <a reason>     a known bug: the engine must disagree until it is mended

Every line that is not indented is an event:

    job NAME [executor N] [tag RULE N]...: OP, OP, ...
    launch NAME [of JOB] [priority N] [key=value]... [executor N] [tag RULE N]... [: OP, OP, ...]
    NAME.OP starts | ends | fails | stops | dies | is given back | loses its lease
    retries are due        cancel NAME           priority NAME N
    runs at most N         rule RULE N           drop rule RULE
    pool POOL N            default limit N|none  pause POOL   resume POOL   delete POOL
    granularity POOL|default op|run|default      buffer N     check on|off|as installed
    workers [QUEUE] N      time passes N
    WHO looks at WHAT      and sees it as it is; WHAT: pool POOL, rule RULE, runs at most, default limit
    WHO sets WHAT N        as it was seen; refused if somebody else has set something else since
    refused EVENT          the verb says no, and nothing has changed

RULE is key=value, key, or each key. OP is `a b c [on POOL[*N] + POOL...] [after KEY...] [priority N] [key=value]
[queue Q] [retries N [later]] [crashes N]`; several keys share what follows. A launch without ops has one op, x.

Indented lines say what is seen after the event. Each of the first three is complete: whoever is not named in it
does not run, wait, or retry. A line that is not there says nothing.

    runs r.a r.b                        ops that have their slots
    waits r.c: pool database; s: runs   candidates, each with the gates that have no room for it
    retries r.d                         ops that are up for retry
    ended r success, s canceled         runs that are over
    op r.a skipped, r.b failure         states of ops
    use pool database 2, runs 1         slots in use
    place r.c: 2 at pool database; s: 1 at runs      in the line of a gate: of those for whom it has no room

A scenario begins with 20 workers of queue default, the pool check off, and what a new deployment has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.built import BUILT, PARTS
from tests.conformance.story import JobText, OpText, TagRule

DEFAULT_WORKERS = 20
WORDS = ("on", "after", "priority", "queue", "retries", "crashes")


class NotUnderstood(ValueError):
    """A line that is not of the language."""


@dataclass(frozen=True)
class Event:
    """A call of the method of this name on a world. `refused`: it must raise and change nothing."""

    verb: str
    arguments: tuple[Any, ...]
    text: str
    refused: bool = False


@dataclass
class Expected:
    """What is said to be seen; None: nothing is said about it."""

    runs: set[str] | None = None
    waits: dict[str, set[str]] | None = None
    retries: set[str] | None = None
    states: dict[str, str] = field(default_factory=dict)
    in_use: dict[str, int] = field(default_factory=dict)
    places: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass
class Step:
    event: Event
    where: str
    expected: Expected = field(default_factory=Expected)


@dataclass
class Scenario:
    title: str
    where: str
    needs: set[str] = field(default_factory=set)
    bug: str = ""
    steps: list[Step] = field(default_factory=list)

    @property
    def is_built(self) -> bool:
        return self.needs <= BUILT


def read(path: Path) -> list[Scenario]:
    """The scenarios of a file. Raises NotUnderstood, with the line."""
    found: list[Scenario] = []
    jobs: dict[str, JobText] = {}
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        line, where = raw.partition("#")[0].rstrip(), f"{path.name}:{number}"
        if not line:
            continue
        try:
            if line.startswith("Scenario: "):
                found.append(Scenario(line.removeprefix("Scenario: "), where))
                jobs = {}
            elif line.startswith("needs "):
                found[-1].needs = set(line.removeprefix("needs ").split(", "))
                assert found[-1].needs <= PARTS
            elif line.startswith("fails on the engine: "):
                found[-1].bug = line.partition(": ")[2]
            elif line.startswith("job "):
                name = line.split()[1].rstrip(":")
                jobs[name] = job(line.removeprefix(f"job {name}"))
            elif line[0] == " ":
                _expect(found[-1].steps[-1].expected, line.strip())
            else:
                found[-1].steps.append(Step(_event(line, jobs), where))
        except (NotUnderstood, AssertionError, KeyError, ValueError, IndexError) as error:
            raise NotUnderstood(f"{where}: {line.strip()!r} is not understood: {error!r}") from error
    for scenario in found:
        _prepare(scenario)
    return found


def job(text: str) -> JobText:
    """A job as a line of a scenario writes it: `executor 1 tag kind 2: a b, c after a`."""
    head, _, ops = text.partition(":")
    return _job(head.split(), ops)[0]


def _prepare(scenario: Scenario) -> None:
    """What a scenario begins with, unless it says otherwise."""
    verbs = {step.event.verb for step in scenario.steps}
    start = []
    if "set_check" not in verbs:
        start.append(Event("set_check", (False,), "check off"))
    if "set_workers" not in verbs:
        start.append(Event("set_workers", ("default", DEFAULT_WORKERS), f"workers {DEFAULT_WORKERS}"))
    kept = [step for step in scenario.steps if step.event.text != "check as installed"]
    scenario.steps = [*(Step(event, scenario.where) for event in start), *kept]


# --- events -------------------------------------------------------------------------------------------


def _event(line: str, jobs: dict[str, JobText]) -> Event:
    if line.startswith("refused "):
        inner = _event(line.removeprefix("refused "), jobs)
        return Event(inner.verb, inner.arguments, line, refused=True)
    verb, *arguments = _parsed(line, jobs)
    return Event(verb, tuple(arguments), line)


def _parsed(line: str, jobs: dict[str, JobText]) -> tuple[Any, ...]:
    first, *rest = words = line.split()
    what = " ".join(rest)
    if "." in first and what in ("starts", "ends", "fails", "stops", "dies", "is given back", "loses its lease"):
        return (what.replace(" ", "_"), first)
    if rest and rest[0] in ("looks", "sets"):
        *what, value = _parsed(f"{' '.join(rest[2:])} 0" if rest[0] == "looks" else " ".join(rest[1:]), jobs)
        return ("looks_at", first, tuple(what)) if rest[0] == "looks" else ("sets", first, tuple(what), value)
    if line == "retries are due":
        return ("retries_are_due",)
    if first == "launch":
        head, colon, ops = line.partition(":")
        _, name, *how = head.split()
        job, tags = _job(how, ops if colon else " x")
        of = how[how.index("of") + 1] if "of" in how else None
        return ("launch", name, jobs[of] if of else job, tags)
    if first == "cancel":
        return ("cancel", *rest)
    if first == "priority":
        return ("priority", rest[0], number(rest[1]))
    if line.startswith("runs at most "):
        return ("set_maximum", number(words[3]))
    if first == "rule":
        return ("set_rule", TagRule.of(" ".join(rest[:-1])), number(rest[-1]))
    if line.startswith("drop rule "):
        return ("drop_rule", TagRule.of(" ".join(rest[1:])))
    if first == "pool":
        return ("set_pool", " ".join(rest[:-1]), number(rest[-1]))
    if line.startswith("default limit "):
        return ("set_default_limit", None if words[2] == "none" else number(words[2]))
    if first in ("pause", "resume"):
        return (first, *rest)
    if first == "delete":
        return ("delete_pool", *rest)
    if first == "granularity":
        return ("set_granularity", None if rest[0] == "default" else rest[0], None if rest[1] == "default" else rest[1])
    if first == "buffer":
        return ("set_buffer", number(rest[0]))
    if first == "check":
        return ("set_check", rest[0] != "off")
    if first == "workers":
        return ("set_workers", rest[0] if len(rest) > 1 else "default", number(rest[-1]))
    if line.startswith("time passes "):
        return ("time_passes", number(words[2]))
    raise NotUnderstood("no such event")


def number(text: str) -> Any:
    """A whole number; what is none stays text, for a verb that must refuse it."""
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text) if re.fullmatch(r"-?\d+\.\d+", text) else text


def _job(words: list[str], ops: str) -> tuple[JobText, dict[str, str]]:
    """A job, and the tags of a run, of the words after a name and the ops after the colon."""
    tags: dict[str, str] = {}
    limits: list[tuple[TagRule, Any]] = []
    executor, left = None, iter(words)
    for word in left:
        if word == "of":
            next(left)
        elif word == "priority":
            tags["dagster/priority"] = next(left)
        elif word == "executor":
            executor = number(next(left))
        elif word == "tag":
            key = next(left)
            limits.append((TagRule.of(f"each {next(left)}" if key == "each" else key), number(next(left))))
        else:
            key, _, value = word.partition("=")
            assert _, f"{word} is no tag"
            tags[key] = value
    return JobText(tuple(op for text in ops.split(",") for op in _ops(text.split())), executor, tuple(limits)), tags


def _ops(words: list[str]) -> Iterator[OpText]:
    """The ops of one entry: several keys that share what follows."""
    is_key = [word not in WORDS and "=" not in word for word in words]
    keys = words[: is_key.index(False)] if False in is_key else words
    assert keys, "an op without a key"
    said: dict[str, Any] = {"pools": {}, "after": [], "tags": {}}
    part = ""
    for word in words[len(keys) :]:
        if word in WORDS:
            part = word
        elif part == "on" and word != "+" and "=" not in word:
            pool, _, slots = word.partition("*")
            said["pools"][pool] = number(slots or "1")
        elif part == "after" and "=" not in word:
            said["after"].append(word)
        elif part == "priority" and "=" not in word:
            said["priority"] = number(word)
        elif part == "queue" and "=" not in word:
            said["queue"] = word
        elif part == "retries" and "=" not in word:
            said.update({"later": True} if word == "later" else {"retries": int(word)})
        elif part == "crashes" and "=" not in word:
            said["crashes"] = number(word)
        elif word != "+":
            key, is_tag, value = word.partition("=")
            assert is_tag, f"{word} is no tag"
            said["tags"][key] = value
    for key in keys:
        yield OpText(key, **{**said, "after": tuple(said["after"])})


# --- what is expected ---------------------------------------------------------------------------------


def _expect(expected: Expected, line: str) -> None:
    word, _, rest = line.partition(" ")
    if word == "runs":
        expected.runs = set(rest.split()) - {"nobody"}
    elif word == "waits":
        expected.waits = dict(_waiting(text) for text in rest.split(";")) if rest != "nobody" else {}
    elif word == "retries":
        expected.retries = set(rest.split()) - {"nobody"}
    elif word in ("ended", "op"):
        expected.states |= dict(text.split() for text in rest.split(","))
    elif word == "use":
        for text in rest.split(","):
            gate, _, slots = text.strip().rpartition(" ")
            expected.in_use[gate] = int(slots)
    elif word == "place":
        for text in rest.split(";"):
            name, _, where = text.strip().partition(": ")
            number, _, gate = where.partition(" at ")
            expected.places[name, gate] = int(number)
    else:
        raise NotUnderstood("no such expectation")


def _waiting(text: str) -> tuple[str, set[str]]:
    name, _, gates = text.strip().partition(": ")
    assert gates, f"{name} waits for what?"
    run = name.partition(".")[0]
    own = {"executor", "tag"}
    return name, {
        f"{run} {gate}" if gate.partition(" ")[0] in own else gate for gate in map(str.strip, gates.split(","))
    }
