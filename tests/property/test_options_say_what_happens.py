"""What an option, or an edited limit, is said to do is what it does, in random states of the engine."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from pools import claims, explain, options, outcome, queries
from pools.models import Gate, Waiter
from pools.options import Asked, Option
from pools.rules import PRIVATE_KINDS
from tests.plugin import DATABASE
from tests.property.test_engine_agrees_with_reference import POOLS, WORKERS, Engine

said: set[str] = set()


class Advised(Engine):
    """The engine under the same events; now and then somebody takes the advice that one who waits is given."""

    @precondition(lambda self: self.model.waiting)
    @rule(pick=st.integers(0, 99), which=st.integers(0, 10))
    def take_advice(self, pick, which) -> None:
        holder = sorted(self.model.waiting)[pick % len(self.model.waiting)]
        asked = self._asked(holder)
        found = [option for option in options.sooner(asked) if option.effect is not None]
        if not found:
            return
        option = found[which % len(found)]
        effect = option.effect
        assert effect is not None
        before = set(self.tokens)
        self._carry_out(option, asked)
        assert effect.starts == (holder in self.tokens), (option, holder)
        said.add("starts" if effect.starts else "waits")
        if effect.starts:
            started = set(self.tokens) - before
            assert effect.before <= len(started) - 1
            return
        after = self._asked(holder)
        assert effect.then is not None
        assert effect.then.id in [check.gate.id for check in after.one.explanation.blocking]
        if effect.place is not None:
            assert asked.standing is not None
            assert asked.line is not None
            assert effect.place[0] == asked.standing.place
            assert effect.place[1] == explain.standing(after.one, asked.line).place

    @rule(key=st.sampled_from((*POOLS, *WORKERS)), to=st.integers(0, 5))
    def edit_as_foretold(self, key, to) -> None:
        """As many as the effect of an edit says start, of those who need the gate."""
        told = outcome.of_key(key, to)
        assert told is not None
        before = set(self.tokens)
        with claims.desk() as desk:
            desk.resize(Gate.objects.get(key=key).pk, to)
        self.model.limits[key] = to
        self.model.settle()
        started = [self.model.holding[holder] for holder in set(self.tokens) - before]
        number = sum(key in candidate.needs for candidate in started)
        if told.starts is not None:
            assert told.starts == min(number, told.in_line)
        assert told.over == max(0, told.in_use - to)

    def _asked(self, holder: str) -> Asked:
        one = explain.waiting([holder])[holder]
        line = next((c.gate for c in one.explanation.blocking if c.gate.kind not in PRIVATE_KINDS), None)
        in_line = Waiter.objects.get(holder=holder).held_by_id is None
        standing = explain.standing(one, line) if line and in_line else None
        holds = queries.holders_of(check.gate.id for check in one.explanation.blocking)
        return Asked(one, line, standing, holds, run_priority=one.priority, siblings=[one.candidate])

    def _carry_out(self, option: Option, asked: Asked) -> None:
        one = asked.one
        with claims.desk() as desk:
            if option.kind in (options.RAISE, options.WORKER):
                desk.resize(option.gate.id, option.to)
            elif option.kind == options.RESUME:
                desk.pause(option.gate.id, False)
            elif option.kind == options.PRIORITY:
                assert desk.reprioritize(one.holder, option.to)
            else:
                assert desk.release(option.holder, self.tokens[option.holder])
        if option.kind in (options.RAISE, options.WORKER):
            self.model.limits[option.gate.key] = option.to
        elif option.kind == options.RESUME:
            self.model.paused.discard(option.gate.key)
        elif option.kind == options.PRIORITY:
            self.model.waiting[one.holder].priority = option.to
        else:
            del self.tokens[option.holder], self.model.holding[option.holder]
        self.model.settle()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("in_line", "lanes"), [(25, 60), (2, 3)], ids=["all is read", "little is read"])
def test_what_an_option_says_comes_of_it(engine, monkeypatch, in_line, lanes) -> None:
    said.clear()
    for name, number in {"IN_LINE": in_line, "BESIDE": in_line, "LANES": lanes}.items():
        monkeypatch.setattr(f"pools.claims.scene.{name}", number)
    run_state_machine_as_test(
        Advised,
        settings=settings(
            max_examples=30 if DATABASE == "sqlite" else 20,
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert said, "nobody took any advice"
