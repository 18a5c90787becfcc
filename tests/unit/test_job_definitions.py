"""Jobs, executors and Definitions, and what is wrong with them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

import controlplane as dg
from runs.tag_limits import TagLimit


@dg.op
def work(): ...


@dg.asset
def orders(): ...


def body():
    """What it is for."""
    work()


# --- executors --------------------------------------------------------------------------------------


def test_executors_limit_one_run():
    assert dg.multiprocess_executor.max_concurrent is None
    assert dg.in_process_executor.max_concurrent == 1
    assert dg.multiprocess_executor.configured({"max_concurrent": 3}).max_concurrent == 3
    assert dg.in_process_executor.configured({}).max_concurrent == 1


@pytest.mark.parametrize("none", [{}, {"max_concurrent": 0}, {"max_concurrent": None}])
def test_unset_and_0_are_no_limit_of_its_own(none):
    assert dg.multiprocess_executor.configured(none).max_concurrent is None


def test_an_executor_takes_tag_limits():
    executor = dg.multiprocess_executor.configured(
        {"tag_concurrency_limits": [{"key": "db", "value": "warehouse", "limit": 1}, {"key": "db", "limit": 0}]}
    )
    assert executor.tag_limits == (TagLimit("db", 1, "warehouse"), TagLimit("db", 0))


def test_configuring_does_not_change_the_executor_itself():
    dg.multiprocess_executor.configured({"max_concurrent": 3})
    assert dg.multiprocess_executor.max_concurrent is None


@pytest.mark.parametrize(
    ("executor", "config", "said"),
    [
        (
            dg.multiprocess_executor,
            {"max_concurrent": -1},
            "multiprocess_executor: max_concurrent -1 is not allowed: "
            "use a whole number, 0 to 2147483647 (0: no limit).",
        ),
        (dg.multiprocess_executor, {"max_concurrent": 2**31}, "max_concurrent 2147483648 is not allowed"),
        (dg.multiprocess_executor, {"max_concurrent": 1.5}, "max_concurrent 1.5 is not allowed"),
        (dg.multiprocess_executor, {"max_concurrent": "2"}, "max_concurrent '2' is not allowed"),
        (dg.multiprocess_executor, {"max_concurrent": True}, "max_concurrent True is not allowed"),
        (
            dg.multiprocess_executor,
            {"max_workers": 3},
            "multiprocess_executor: 'max_workers' is unknown; allowed: max_concurrent, tag_concurrency_limits.",
        ),
        (dg.multiprocess_executor, 3, "multiprocess_executor: 3 is not allowed: use a dict."),
        (
            dg.multiprocess_executor,
            {"tag_concurrency_limits": [{"key": "k", "limit": -1}]},
            "multiprocess_executor.tag_concurrency_limits[0].limit: -1 is not allowed",
        ),
        (
            dg.multiprocess_executor,
            {"tag_concurrency_limits": [{"key": "k", "limit": 1}, {"key": "k", "limit": 2}]},
            "multiprocess_executor.tag_concurrency_limits[1]: there is a rule for k already",
        ),
        (
            dg.in_process_executor,
            {"max_concurrent": 2},
            "in_process_executor: 'max_concurrent' is unknown; allowed: nothing.",
        ),
    ],
)
def test_a_wrong_configuration_is_named(executor, config, said):
    with pytest.raises(dg.DefinitionError) as error:
        executor.configured(config)
    assert said in str(error.value)


# --- jobs -------------------------------------------------------------------------------------------


@dataclass
class Params:
    day: str = "today"


class Model(BaseModel):
    day: str = "today"


@pytest.mark.parametrize("params", [None, Params, Model])
def test_a_job_knows_what_it_was_given(params):
    nightly = dg.job(
        body, name="nightly", executor_def=dg.in_process_executor, tags={"team": "growth", "n": 3}, params=params
    )
    assert (nightly.name, nightly.executor, nightly.params) == ("nightly", dg.in_process_executor, params)
    assert nightly.tags == {"team": "growth", "n": "3"}
    assert nightly.description == "What it is for."
    assert re.fullmatch(r".*test_job_definitions\.py:\d+", nightly.source)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "a b"}, "job: 'a b' is not a name"),
        ({"name": "assets"}, "job assets: this name is taken: it stands for runs without a job."),
        ({"name": "__ASSET_JOB"}, "job __ASSET_JOB: this name is taken"),
        ({"executor_def": "many"}, "job body: executor_def 'many' is not allowed: use multiprocess_executor or"),
        ({"tags": {"k": None}}, "job body: tag k: None is not allowed"),
        ({"description": 5}, "job body: description 5 is not allowed: use a text."),
        ({"params": dict}, "job body: params <class 'dict'> is not allowed: use a dataclass or a pydantic model."),
        ({"params": Params()}, "job body: params Params(day='today') is not allowed"),
    ],
)
def test_what_is_wrong_with_a_job_is_named(arguments, said):
    with pytest.raises(dg.DefinitionError) as error:
        dg.job(**arguments)(body)
    assert said in str(error.value)


def test_the_function_of_a_job_takes_no_parameters():
    with pytest.raises(dg.DefinitionError, match="its function takes no parameters; use params= for values"):

        @dg.job
        def wants(day): ...


# --- jobs of assets ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("*", ("*",)),
        ("orders", ("orders",)),
        (orders, ("orders",)),
        (["customers", orders, "customers"], ("customers", "orders")),
        (["*"], ("*",)),
    ],
)
def test_a_selection_takes_assets_names_and_all(selection, names):
    assert dg.define_asset_job("nightly", selection).selection == names


def test_without_a_selection_all_assets_are_selected():
    assert dg.define_asset_job("nightly").selection == ("*",)


def test_an_asset_job_knows_where_it_is_written():
    assert re.fullmatch(r".*test_job_definitions\.py:\d+", dg.define_asset_job("nightly").source)


@pytest.mark.parametrize(
    ("name", "selection", "said"),
    [
        ("a b", "*", "job: 'a b' is not a name"),
        ("nightly", [], "job nightly: its selection is empty."),
        ("nightly", 3, "job nightly: selection 3 is not allowed: use assets, their names, or '*'."),
        ("nightly", [3], "job nightly: 3 is not an asset: use an asset or its name."),
        ("nightly", [work], "is not an asset: use an asset or its name."),
        ("nightly", "or ders", "job nightly: 'or ders' is not an asset"),
    ],
)
def test_what_is_wrong_with_a_selection_is_named(name, selection, said):
    with pytest.raises(dg.DefinitionError) as error:
        dg.define_asset_job(name, selection)
    assert said in str(error.value)


# --- Definitions ------------------------------------------------------------------------------------


def test_definitions_list_what_a_module_offers():
    job = dg.define_asset_job("nightly", [orders])
    definitions = dg.Definitions(assets=[orders], jobs=[job])
    assert list(definitions.assets) == [orders]
    assert list(definitions.jobs) == [job]


def test_definitions_refuse_what_is_neither_asset_nor_job():
    with pytest.raises(dg.DefinitionError, match=r"Definitions\.assets: .* is not allowed: it is no AssetDefinition"):
        dg.Definitions(assets=[work])
    with pytest.raises(dg.DefinitionError, match=r"Definitions\.jobs: .* is not allowed: it is no JobDefinition"):
        dg.Definitions(jobs=[orders])


def test_definitions_take_whatever_can_be_gone_through_once():
    definitions = dg.Definitions(assets=(asset for asset in [orders]), jobs=None)
    assert [list(definitions.assets), list(definitions.assets), list(definitions.jobs)] == [[orders], [orders], []]
    with pytest.raises(dg.DefinitionError, match=r"Definitions\.jobs: 5 is not allowed: use a list\."):
        dg.Definitions(jobs=5)


def test_a_name_that_is_empty_is_refused():
    for decorate in (dg.job, dg.asset, dg.op):
        with pytest.raises(dg.DefinitionError, match="'' is not a name"):
            decorate(name="")(body)
