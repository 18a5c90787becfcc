"""Random files: a file of what is in force changes nothing, a wrong one changes nothing either, and none ends badly."""

from __future__ import annotations

import copy
import re
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pools import limits, sizing
from pools.models import Change, Pool
from pools.sizing import Author
from runs import config, granularity, run_limits
from runs.config import InvalidConfiguration
from runs.tag_limits import TagLimit
from tests.conftest import clear
from tests.documents import BAD, EVERYTHING, GOOD, ONLY_THE_CHECK_KNOWS
from tests.invariants import check_engine
from tests.plugin import DATABASE

SOMEBODY = Author("somebody", "page")
SCHEMA = jsonschema.Draft7Validator(config.json_schema())
EXAMPLES = 60 if DATABASE == "sqlite" else 20  # the same verbs on both; PostgreSQL takes three times as long for each
WITH_DATABASE = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

WORDS = """
    yes no null ~ 1 1.5 1e3 1:30 0o7 0x1 = << - ? : #a a# [a] {a} &a *a !a | > ' " %a @a `a 2020-01-01 .inf --- ... a:
    é 名 😀
"""
ODD = WORDS.split()  # what YAML could take for something else
visible = st.characters(exclude_categories=["C", "Z"])
names = st.sampled_from(ODD) | st.text(visible, min_size=1, max_size=200)
printable = st.text(visible | st.just(" "), max_size=200)
keys = st.sampled_from([*ODD, "dagster/backfill", "a b"]) | st.text(visible | st.just(" "), min_size=1, max_size=200)
values = st.one_of(st.none(), st.booleans(), st.sampled_from(ODD), printable)
slots = st.integers(0, limits.MAX_LIMIT)


@st.composite
def rules(draw: Any) -> TagLimit:
    value = draw(values)
    limit = draw(st.integers(0, 2**31 - 1))
    if isinstance(value, bool):
        return TagLimit(draw(keys), limit, per_value=value)
    return TagLimit(draw(keys), limit, value)


in_force = st.fixed_dictionaries(
    {
        "maximum": st.integers(-1, 2**31 - 1),
        "rules": st.lists(rules(), max_size=5),
        "check": st.booleans(),
        "default": st.none() | slots,
        "granularity": st.sampled_from(["op", "run"]),
        "buffer": slots,
        "limits": st.dictionaries(names, slots, max_size=5),
        "own": st.dictionaries(names, st.sampled_from(["op", "run"]), max_size=3),
        "paused": st.lists(st.integers(0, 4), max_size=2, unique=True),
        "seen": st.lists(names, max_size=2),
    }
)


def put_in_force(drawn: dict[str, Any]) -> None:
    clear()
    run_limits.set_maximum(drawn["maximum"], SOMEBODY)
    for rule in drawn["rules"]:
        run_limits.set_rule(rule, SOMEBODY)
    sizing.set_check_at_queue(drawn["check"], SOMEBODY)
    sizing.set_default_limit(drawn["default"], SOMEBODY)
    granularity.set_default(drawn["granularity"], SOMEBODY)
    sizing.set_run_buffer(drawn["buffer"], SOMEBODY)
    for name, limit in drawn["limits"].items():
        sizing.set_limit(name, limit, SOMEBODY)
    for name, own in drawn["own"].items():
        granularity.set_for_pool(name, own, SOMEBODY)
    for name in drawn["seen"]:  # a pool that nothing is set for
        granularity.set_for_pool(name, None, SOMEBODY)
    pools = sorted(drawn["limits"] | drawn["own"])
    for index in drawn["paused"]:
        if index < len(pools):
            sizing.pause(pools[index], SOMEBODY)


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("concurrency", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
@WITH_DATABASE
@given(in_force)
def test_what_is_exported_changes_nothing_when_it_is_applied(
    tmp_path_factory: pytest.TempPathFactory, engine: None, drawn: dict[str, Any]
) -> None:
    put_in_force(drawn)
    file = tmp_path_factory.getbasetemp() / "exported.yaml"
    file.write_text(command("export"), encoding="utf-8")
    recorded = Change.objects.count()
    assert command("apply", str(file), "--prune") == "Nothing to change.\n"
    assert Change.objects.count() == recorded
    assert list(SCHEMA.iter_errors(yaml.safe_load(file.read_text(encoding="utf-8")))) == []


@pytest.mark.django_db(transaction=True)
@WITH_DATABASE
@given(in_force, in_force)
def test_an_exported_file_brings_back_what_was_in_force_then(
    tmp_path_factory: pytest.TempPathFactory, engine: None, drawn: dict[str, Any], later: dict[str, Any]
) -> None:
    put_in_force(drawn | {"paused": []})
    exported = command("export")
    file = tmp_path_factory.getbasetemp() / "exported.yaml"
    file.write_text(exported, encoding="utf-8")
    kept = drawn["own"].keys() - drawn["limits"].keys()  # listed without a limit: theirs is left alone
    limits_then = {name: limit for name, limit in later["limits"].items() if name not in kept}
    put_in_force(later | {"limits": limits_then, "paused": [], "own": {}})
    command("apply", str(file), "--prune")
    check_engine()
    assert command("apply", str(file), "--prune") == "Nothing to change.\n"
    assert ordered(config.document()) == ordered(yaml.safe_load(exported))


def ordered(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its rules in an order of their own: the order of a file means nothing."""
    document["concurrency"]["runs"]["tag_concurrency_limits"].sort(key=repr)
    return document


# --- wrong files ------------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-2, 3), st.floats(), st.text(max_size=20), st.sampled_from(ODD)
)
KEYS = """
    concurrency runs pools run_queue run_coordinator limits default_limit granularity op_granularity_run_buffer
    max_concurrent_runs tag_concurrency_limits block_op_concurrency_limited_runs enabled op_concurrency_slot_buffer
    default_op_concurrency_limit key value limit applyLimitPerUniqueValue database
"""
known = st.sampled_from(KEYS.split())
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(known | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def mutated(draw: Any) -> Any:
    """A file of the list, in which a few places say something else, are gone, or have something beside them."""
    document = copy.deepcopy(draw(st.sampled_from([EVERYTHING, *GOOD])))
    for _ in range(draw(st.integers(1, 3))):
        document = _mutate(draw, document)
    return document


def _mutate(draw: Any, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        name = draw(st.sampled_from(sorted(value)))
        what = draw(st.sampled_from(["inside", "inside", "inside", "inside", "gone", "renamed", "beside"]))
        if what == "inside":
            return value | {name: _mutate(draw, value[name])}
        if what == "beside":
            return value | {draw(known): draw(anything)}
        rest = {key: part for key, part in value.items() if key != name}
        return rest if what == "gone" else rest | {draw(known | st.text(max_size=5)): value[name]}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], _mutate(draw, value[index]), *value[index + 1 :], *value[: draw(st.integers(0, 1))]]
    return draw(anything)


documents = st.one_of(mutated(), mutated(), anything, st.sampled_from([*GOOD, *BAD, *ONLY_THE_CHECK_KNOWS]))


@st.composite
def texts(draw: Any) -> str:
    """YAML of such a document, with a few characters changed; or no YAML at all."""
    text = draw(st.one_of(st.builds(yaml.safe_dump, documents, default_flow_style=st.booleans()), st.text()))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        odd = st.sampled_from(
            [*"{}[]:,-?&*!|>'\"%@#\n\t \x00\ud800", "<<: ", "&a ", "*a ", "!!int ", "!!set ", "!!omap "]
        )
        text = text[:at] + draw(odd | st.characters()) + text[at + draw(st.integers(0, 2)) :]
    return text


SAID = re.compile(r"^[^ ].*?: .*(is not allowed: |unknown; allowed: |use |write |leave it out|name each rule)")
NO_YAML = re.compile(r"^the file: (line \d+, column \d+: |no YAML: )")
# What a schema can't say.
UNSAID = re.compile(r": -?\d+\.0 is not allowed|there is a rule for|is not a pool's name|name of a tag|use a string")


def errors_of(text: str) -> tuple[str, ...]:
    """What is wrong with a text; nothing else may happen."""
    try:
        config.parse(text)
    except InvalidConfiguration as error:
        return error.errors
    return ()


@settings(max_examples=500, deadline=None)
@given(texts())
def test_a_text_is_read_or_refused_in_lines_that_name_a_path_a_value_and_what_is_allowed(text: str) -> None:
    for line in errors_of(text):
        assert "\n" not in line
        assert len(line) <= 500
        assert SAID.match(line) or NO_YAML.match(line), line


@settings(max_examples=500, deadline=None)
@given(documents)
def test_the_schema_refuses_nothing_that_the_check_allows_and_little_else_besides(document: Any) -> None:
    errors = errors_of(yaml.safe_dump(document))
    if not errors:
        assert [error.message for error in SCHEMA.iter_errors(document)] == []
    elif SCHEMA.is_valid(document):
        assert all(UNSAID.search(line) for line in errors), errors


_put_back: list[dict[str, Any]] = []


def put_back() -> dict[str, Any]:
    """What is in force before each file, put there again if one was applied: a refusal has changed nothing."""
    if [config.document()] != _put_back:
        put_in_force(
            {"maximum": 7, "rules": [TagLimit("team", 1)], "check": True, "default": 3, "granularity": "op"}
            | {"buffer": 1, "limits": {"database": 2, "old": 4}, "own": {"old": "run"}, "paused": [], "seen": []}
        )
        _put_back[:] = [config.document()]
    return _put_back[0]


@pytest.mark.django_db(transaction=True)
@settings(WITH_DATABASE, max_examples=EXAMPLES * 5 // 2)
@given(text=texts(), prune=st.booleans())
def test_a_file_is_applied_as_a_whole_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, engine: None, text: str, prune: bool
) -> None:
    before, recorded = put_back(), Change.objects.count()
    file: Path = tmp_path_factory.getbasetemp() / "random.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    options = ["--prune"] if prune else []
    try:
        command("apply", str(file), *options)
    except CommandError:
        assert config.document() == before
        assert Change.objects.count() == recorded
        assert set(Pool.objects.values_list("name", flat=True)) == {"database", "old"}
    else:
        assert command("apply", str(file), *options) == "Nothing to change.\n"
    check_engine()
