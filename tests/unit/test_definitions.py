"""What authors write: ops and assets, and the errors of those who write them wrong."""

from __future__ import annotations

import re

import pytest

import controlplane as dg


@dg.op(pool="database", tags={"kind": "heavy", "dagster/priority": 5}, queue="gpu")
def load(context, rows, limit=10):
    """Load rows.

    In two paragraphs.
    """
    return (rows, limit)


def test_an_op_knows_what_its_function_says():
    assert load.name == "load"
    assert load.takes_context
    assert load.inputs == ("rows", "limit")
    assert load.optional_inputs == {"limit"}
    assert load.pools == {"database": 1}
    assert load.tags == {"kind": "heavy", "dagster/priority": "5"}
    assert load.priority == 5
    assert load.queue == "gpu"
    assert load.description == "Load rows.\n\nIn two paragraphs."
    assert re.fullmatch(r".*test_definitions\.py:\d+", load.source)


def test_the_function_can_be_called_as_a_test_would():
    assert load(None, [1]) == ([1], 10)


def test_an_op_needs_no_arguments_at_all():
    @dg.op
    def plain(): ...

    assert (plain.name, plain.pools, plain.priority, plain.queue) == ("plain", {}, 0, "default")
    assert not plain.takes_context


def test_the_context_is_known_by_its_name_or_by_its_type():
    @dg.op
    def by_name(_context): ...

    @dg.op
    def by_type(ctx: dg.OpExecutionContext, x): ...

    @dg.op
    def no_context(x, context): ...

    assert by_name.takes_context
    assert by_type.takes_context
    assert by_type.inputs == ("x",)
    assert not no_context.takes_context
    assert no_context.inputs == ("x", "context")


def test_an_assets_parameters_and_deps_name_its_upstream():
    @dg.asset
    def orders(): ...

    @dg.asset(deps=[orders, "customers"], op_tags={"kind": "x"}, pool={"database": 2, "api": 1})
    def report(context: dg.AssetExecutionContext, prices): ...

    assert report.inputs == ("prices",)
    assert report.deps == ("orders", "customers")
    assert report.tags == {"kind": "x"}
    assert report.pools == {"database": 2, "api": 1}


def test_a_name_and_a_description_can_be_given():
    @dg.asset(name="other", description="  What it is. ")
    def fn(): ...

    assert (fn.name, fn.description) == ("other", "What it is.")


def test_a_coroutine_function_is_an_op():
    @dg.op
    async def later(): ...

    assert later.name == "later"


def test_dagsters_older_spelling_of_a_pool_is_a_pool():
    @dg.asset(op_tags={"dagster/concurrency_key": "duckdb", "kind": "x"})
    def raw(): ...

    @dg.op(tags={"dagster/concurrency_key": "duckdb"})
    def load_raw(): ...

    assert (raw.pools, raw.tags) == ({"duckdb": 1}, {"kind": "x"})
    assert (load_raw.pools, load_raw.tags) == ({"duckdb": 1}, {})


# --- errors -----------------------------------------------------------------------------------------


def nothing(): ...


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "two words"}, "op: 'two words' is not a name: use letters, digits and '_', not starting with"),
        ({"name": "1st"}, "op: '1st' is not a name"),
        ({"name": "x" * 201}, "is not a name"),
        ({"pool": "data base"}, "op nothing: 'data base' is not a pool's name: use 1 to 200 characters without"),
        (
            {"pool": "a", "tags": {"dagster/concurrency_key": "a"}},
            "op nothing: a pool and the tag dagster/concurrency_key, an older word for it, are both given: use pool.",
        ),
        ({"tags": {"dagster/concurrency_key": "a b"}}, "op nothing: 'a b' is not a pool's name"),
        ({"pool": ""}, "op nothing: '' is not a pool's name"),
        ({"pool": {"db": 0}}, "op nothing: pool 'db': 0 slots is not allowed: use a whole number from 1 to 100000."),
        ({"pool": 3}, "op nothing: pool: 3 is not allowed: use a name, or a dict"),
        ({"tags": ["a"]}, "op nothing: tags ['a'] is not allowed: use a dict."),
        ({"tags": {"": "x"}}, "op nothing: tag '' is not allowed: use a name of 1 to 200 characters."),
        ({"tags": {3: "x"}}, "op nothing: tag 3 is not allowed"),
        ({"tags": {"k": None}}, "op nothing: tag k: None is not allowed: use a string of at most 500 characters."),
        ({"tags": {"k": True}}, "op nothing: tag k: True is not allowed"),
        ({"tags": {"k": "v" * 501}}, "use a string of at most 500 characters"),
        (
            {"tags": {"dagster/priority": "high"}},
            "op nothing: dagster/priority 'high' is not allowed: use a whole number within +-2147483647.",
        ),
        ({"tags": {"dagster/priority": 1.5}}, "op nothing: dagster/priority '1.5' is not allowed"),
        ({"tags": {"dagster/priority": 2**31}}, "op nothing: dagster/priority '2147483648' is not allowed"),
        ({"description": 5}, "op nothing: description 5 is not allowed: use a text."),
        ({"retry_policy": 3}, "op nothing: retry_policy 3 is not allowed: use a RetryPolicy."),
        ({"queue": "a b"}, "op nothing: queue 'a b' is not allowed: use letters, digits, '_', '.' and '-'."),
        ({"queue": ""}, "op nothing: queue '' is not allowed"),
        ({"queue": None}, "op nothing: queue None is not allowed"),
    ],
)
def test_what_is_wrong_with_an_op_is_named_with_the_op_the_value_and_what_is_allowed(arguments, said):
    with pytest.raises(dg.DefinitionError) as error:
        dg.op(**arguments)(nothing)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pool": "data base"}, "asset nothing: 'data base' is not a pool's name"),
        ({"op_tags": {"k": None}}, "asset nothing: tag k: None is not allowed"),
        ({"deps": "orders"}, "asset nothing: deps 'orders' is not allowed: use a list of assets or their names."),
        ({"deps": 3}, "asset nothing: deps 3 is not allowed"),
        ({"deps": [3]}, "asset nothing: 3 is not an asset: use an asset or its name."),
        ({"deps": ["two words"]}, "asset nothing: 'two words' is not an asset"),
        ({"deps": ["a", "b", "a"]}, "asset nothing: it depends on a twice; name each upstream asset once."),
    ],
)
def test_what_is_wrong_with_an_asset_is_named_as_well(arguments, said):
    with pytest.raises(dg.DefinitionError) as error:
        dg.asset(**arguments)(nothing)
    assert said in str(error.value)


def test_an_asset_does_not_name_an_upstream_both_as_parameter_and_in_deps():
    with pytest.raises(dg.DefinitionError, match="asset both: it depends on orders twice"):

        @dg.asset(deps=["orders"])
        def both(orders): ...


def test_an_op_is_no_asset():
    with pytest.raises(dg.DefinitionError, match="is not an asset"):

        @dg.asset(deps=[load])
        def after_an_op(): ...


@pytest.mark.parametrize("decorate", [dg.op, dg.asset])
def test_a_config_is_no_input(decorate):
    with pytest.raises(dg.DefinitionError) as error:

        @decorate
        def sized(context, config: dict): ...

    assert str(error.value).endswith(
        "sized: parameter config is not supported: use the params of a job, context.params."
    )


def generator():
    yield 1


async def async_generator():
    yield 1


@pytest.mark.parametrize("fn", [generator, async_generator])
def test_a_generator_is_refused(fn):
    with pytest.raises(dg.DefinitionError, match="a generator function is not allowed: return one value"):
        dg.op(fn)


@pytest.mark.parametrize(
    ("fn", "parameter"),
    [(lambda *args: 0, "*args"), (lambda **kwargs: 0, "**kwargs"), (lambda a, /: 0, "a")],
)
def test_every_input_has_a_name(fn, parameter):
    with pytest.raises(dg.DefinitionError) as error:
        dg.op(name="loose")(fn)
    assert str(error.value) == f"op loose: parameter {parameter} is not allowed: name each input."


def test_only_a_function_can_be_an_op():
    with pytest.raises(dg.DefinitionError, match="@op needs a function, not 3"):
        dg.op(3)
    with pytest.raises(dg.DefinitionError, match="@asset needs a function, not 'x'"):
        dg.asset("x")
