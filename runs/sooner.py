"""What would start a run or an op sooner that waits, with who is behind each holder, and what comes of it in words."""

from __future__ import annotations

from dataclasses import dataclass

from pools import options
from pools.audit.books import Finding
from pools.options import Asked, Option
from runs.models import Op, Run
from runs.why import Why, ordinal


@dataclass(frozen=True)
class Advice:
    """What would start it sooner; `who` is behind the holder that it names, `finding` says that nobody alive is."""

    option: Option
    who: Op | Run | None = None
    finding: Finding | None = None

    @property
    def effect(self) -> str:
        """What comes of it, in words; empty where that can't be known."""
        effect = self.option.effect
        if effect is None:
            return ""
        ending = self.option.kind == options.END
        if effect.starts and ending:
            return "It is next in line for what becomes free"
        if effect.starts:
            return "Starts now" + (f", after {effect.before} before it" if effect.before else "")
        if effect.then is not None and effect.then.id != self.option.gate.id:
            return f"Then waits for {effect.then.name}"
        if self.option.kind == options.RESUME:
            return "Then waits until it has room"
        if effect.place is None:
            return ""
        before, after = effect.place
        return f"Moves from {ordinal(before)} to {ordinal(after)} in line" if after < before else ""


def of(why: Why) -> list[Advice]:
    """What would start it sooner, by why it waits. Empty where nothing is known that would."""
    if not why.is_held_up:
        return []
    held = {gate_id: [hold for hold, _ in holds] for gate_id, holds in why.holders.items()}
    asked = Asked(why.waiting, why.line, why.standing, held, list(why.stuck), why.run_priority, why.siblings)
    return [_advice(option, why) for option in options.sooner(asked)]


def _advice(option: Option, why: Why) -> Advice:
    finding = why.stuck.get(option.holder) if option.kind == options.FREE else None
    return Advice(option, why.names.get(option.holder), finding)
