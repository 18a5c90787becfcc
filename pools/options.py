"""What would start a candidate sooner, and what exactly would come of it. Reads only.

Each option is rehearsed: carried out in memory by the decision itself (`rehearsal`). What can't be known is not said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pools import claims, rules
from pools.explain import Standing, Waiting
from pools.limits import MAX_LIMIT
from pools.models import Hold
from pools.queries import COUNT_TO
from pools.rehearsal import Rehearsal, Scene, Unknowable
from pools.rules import WORKERS, Candidate, Gate

FREE, RESUME, WORKER, RAISE, PRIORITY, END = "free", "resume", "worker", "raise", "priority", "end"
TRIES = 10  # by how much a limit is raised at most, beyond what the candidate itself needs

Slots = Sequence[tuple[int, int]]  # (gate, slots)


@dataclass(frozen=True)
class Effect:
    """What would come of it: the candidate starts at once, after `before` others; else it waits for `then`.

    `place` is its place in the line in which it stood, before and after; None: it is not there any more, or not known.
    """

    starts: bool
    before: int = 0
    then: Gate | None = None
    place: tuple[int, int] | None = None


@dataclass(frozen=True)
class Option:
    """Something that a person could do. `effect` None: what comes of it can't be known.

    `to`: the new limit, the new priority of its run, or how many workers live. `holder`: whose slots become free.
    """

    kind: str
    gate: Gate
    to: int = 0
    holder: str = ""
    effect: Effect | None = None

    @property
    def more(self) -> int:
        """By how much the gate's limit would rise."""
        return self.to - (self.gate.limit or 0)


@dataclass(frozen=True)
class Asked:
    """Who is to start sooner, and what is known of its wait.

    `stuck` are holders of whom nobody is alive. `run_priority` is that of its run, None if it has none or too many of
    it wait; with it all `siblings` change theirs: all that wait of the same run, itself among them.
    """

    one: Waiting
    line: Gate | None
    standing: Standing | None
    holds: Mapping[int, Sequence[Hold]]
    stuck: Sequence[str] = ()
    run_priority: int | None = None
    siblings: Sequence[Candidate] = ()


def sooner(asked: Asked) -> list[Option]:
    """What would start a candidate sooner. What would certainly change nothing is left out."""
    one = asked.one.candidate
    told = asked.one.explanation
    blocking = [check.gate for check in told.blocking]
    full = [*blocking, *(entry.gate for entry in told.taken)]
    if not full:
        return []
    families = claims.kin([gate.id for gate in full if gate.kind == "run_tag"])
    ending = _who_ends_first(asked, blocking)
    freed = _slots_of([*asked.stuck, *([ending] if ending else [])])
    others = [one, *(other for other in asked.siblings if other.holder != one.holder)]
    own = {gate_id for other in others for gate_id, _ in other.private}
    touching = {check.gate.id for check in told.checks} | {gate.id for gate in full} | own
    touching |= {gate_id for members in families.values() for gate_id in members}
    touching |= {gate_id for slots in freed.values() for gate_id, _ in slots}
    stage = _Stage(asked, claims.read_scene(touching, others))
    found = [
        Option(FREE, full[0], 0, holder, stage.effect(_free(freed[holder])))
        for holder in asked.stuck
        if holder in freed
    ]
    for gate in full:
        if gate.paused:
            found.append(Option(RESUME, gate, 0, "", stage.effect(_resume(gate))))
        elif gate.kind in ("runs", "run_tag", "pool", WORKERS) and gate.limit is not None:
            found += _raised(stage, gate, families)
    found += _passed(stage)
    if ending in freed:
        found.append(Option(END, full[0], 0, ending, stage.effect(_free(freed[ending]))))
    return [option for option in found if option.effect is None or _changes_something(option, option.effect)]


Change = Callable[[Rehearsal], None]


def _free(slots: Slots) -> Change:
    return lambda board: board.free(slots)


def _resume(gate: Gate) -> Change:
    return lambda board: board.resume(gate.id)


def _resize(gate_ids: Iterable[int], limit: int) -> Change:
    ids = list(gate_ids)

    def change(board: Rehearsal) -> None:
        for gate_id in ids:
            board.resize(gate_id, limit)

    return change


@dataclass(frozen=True)
class _Stage:
    """The scene on which options are rehearsed."""

    asked: Asked
    scene: Scene

    def effect(self, change: Change, moved: Candidate | None = None) -> Effect | None:
        """What would come of a change; `moved` is the candidate as it stands after it, if its place is another."""
        board = Rehearsal(self.scene)
        try:
            change(board)
            if board.settle(self.asked.one.holder):
                return Effect(True, len(board.admitted) - 1)
            return self._afterwards(board, moved or self.asked.one.candidate) if board.is_whole else None
        except Unknowable:
            return None

    def _afterwards(self, board: Rehearsal, one: Candidate) -> Effect | None:
        needs = [(check.gate.id, check.slots) for check in self.asked.one.explanation.checks]
        then = rules.first_blocking(tuple(needs), board.gate, one)
        line, standing = self.asked.line, self.asked.standing
        if then is None or line is None or standing is None or standing.place > COUNT_TO:
            return Effect(False, then=then) if then else None
        if not (line.full and board.gate(line.id).full):
            return Effect(False, then=then)
        if one is self.asked.one.candidate:
            before = Rehearsal(self.scene).ahead(one, line.id)
            return Effect(False, then=then, place=(standing.place, standing.place + board.ahead(one, line.id) - before))
        siblings = [other.holder for other in self.asked.siblings]
        return Effect(False, then=then, place=(standing.place, 1 + board.ahead(one, line.id, siblings)))


def _raised(stage: _Stage, gate: Gate, families: Mapping[int, Sequence[int]]) -> list[Option]:
    """The least higher limit with which it starts; else the least with which this gate has room for it."""
    if gate.kind == "run_tag" and gate.id not in families:
        return []
    ids = families.get(gate.id, [gate.id])
    least = (gate.limit or 0) + max(1, _lacking(stage.asked.one, gate))
    tried = [
        Option(WORKER if gate.kind == WORKERS else RAISE, gate, to, "", stage.effect(_resize(ids, to)))
        for to in range(least, min(least + TRIES, MAX_LIMIT + 1) if gate.kind == "pool" else least + TRIES)
    ]
    starting = [option for option in tried if option.effect and option.effect.starts]
    roomy = [option for option in tried if option.effect and _goes_on(option.effect, gate)]
    return (starting or roomy or tried)[:1]


def _lacking(one: Waiting, gate: Gate) -> int:
    """By how much a gate's limit is too low for a candidate, if nobody came before it."""
    limit = gate.limit or 0
    for check in one.explanation.blocking:
        if check.gate.id == gate.id:
            return gate.in_use + check.slots + check.kept - limit
    waited = max(entry.waited_for - entry.buffer for entry in one.explanation.taken if entry.gate.id == gate.id)
    return gate.in_use + waited + 1 - limit


def _goes_on(effect: Effect, gate: Gate) -> bool:
    """Whether it waits no longer for this gate."""
    return effect.then is not None and effect.then.id != gate.id


def _passed(stage: _Stage) -> list[Option]:
    """The priority of its run with which it passes all who stand before it and belong to other runs."""
    asked = stage.asked
    one, line = asked.one, asked.line
    if asked.run_priority is None or line is None or asked.standing is None:
        return []
    siblings = {other.holder for other in asked.siblings}
    best = next((ahead for ahead in asked.standing.ahead if ahead.holder not in siblings), None)
    if best is None:
        return []
    rise = best.priority + 1 - one.priority

    def change(board: Rehearsal) -> None:
        for other in asked.siblings:
            board.reprioritize(other.holder, other.priority + rise)

    effect = stage.effect(change, _with_priority(one.candidate, one.priority + rise))
    return [Option(PRIORITY, line, asked.run_priority + rise, "", effect)]


def _with_priority(one: Candidate, priority: int) -> Candidate:
    return Candidate(one.id, one.holder, one.lane, priority, one.since, one.number, one.private)


def _who_ends_first(asked: Asked, blocking: Sequence[Gate]) -> str:
    """The holder of the first full gate that has held it for longest; "" if nobody alive holds it."""
    for gate in blocking:
        if gate.kind != WORKERS and not gate.paused:
            return next((hold.holder for hold in asked.holds.get(gate.id, ()) if hold.holder not in asked.stuck), "")
    return ""


def _slots_of(holders: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """What these holders hold, by gate."""
    found: dict[str, list[tuple[int, int]]] = {}
    for hold in Hold.objects.filter(holder__in=holders) if holders else ():
        found.setdefault(hold.holder, []).append((hold.gate_id, hold.slots))
    return found


def _changes_something(option: Option, effect: Effect) -> bool:
    if effect.starts or option.kind == RESUME or (option.kind != END and _goes_on(effect, option.gate)):
        return True
    return effect.place is None or effect.place[0] != effect.place[1]
