"""What Dagster's authors write: taken, taken without effect, or refused with a word on what to write instead."""

from __future__ import annotations

import pytest

import controlplane as dg


def made(): ...


@dg.op
def work(): ...


def body():
    work()


def test_the_context_has_dagsters_names():
    @dg.op
    def plain(context_): ...

    assert plain.takes_context


def test_none_is_the_default():
    assert dg.asset(deps=None)(made).deps == ()
    assert dg.define_asset_job("nightly", executor_def=None).executor is None
    assert dg.job(body, executor_def=None).executor is None


def test_what_only_describes_an_asset_has_no_effect():
    described = dg.asset(
        group_name="sales", tags={"tier": "1"}, metadata={"rows": 3}, kinds={"sql"}, owners=["team:a"], code_version="2"
    )(made)
    assert described.tags == {}


@pytest.mark.parametrize(
    ("argument", "value", "said"),
    [
        ("key_prefix", "warehouse", "asset made: key_prefix is not supported: write it into the name."),
        ("ins", {"a": 1}, "asset made: ins is not supported: name upstream assets as parameters or in deps."),
        ("config_schema", {"a": int}, "asset made: config_schema is not supported: use the params of a job."),
        ("required_resource_keys", {"db"}, "asset made: required_resource_keys is not supported: "),
        ("partitions_def", object(), "asset made: partitions_def is not supported: "),
        ("io_manager_key", "s3", "asset made: io_manager_key is not supported: "),
        (
            "pools",
            "a",
            "asset made: 'pools' is unknown; allowed: name, deps, pool, op_tags, retry_policy, crash_retries,",
        ),
    ],
)
def test_what_an_asset_can_not_have_is_named_with_what_to_use(argument, value, said):
    with pytest.raises(dg.DefinitionError) as error:
        dg.asset(**{argument: value})(made)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    ("define", "said"),
    [
        (lambda: dg.op(out=dict)(made), "op made: out is not supported: return one value."),
        (lambda: dg.op(ins={"a": 1})(made), "op made: ins is not supported: name its inputs as parameters."),
        (
            lambda: dg.op(pols="a")(made),
            "op made: 'pols' is unknown; allowed: name, pool, tags, retry_policy, ",
        ),
        (lambda: dg.job(config={"a": 1})(body), "job body: config is not supported: use params."),
        (lambda: dg.job(op_retry_policy=1)(body), "job body: op_retry_policy is not supported: give each op its own."),
        (lambda: dg.define_asset_job("nightly", config={"a": 1}), "job nightly: config is not supported: use params."),
        (lambda: dg.define_asset_job("nightly", selektion="*"), "job nightly: 'selektion' is unknown; allowed: name, "),
        (lambda: dg.Definitions(schedules=[1]), "Definitions: schedules is not supported: "),
        (lambda: dg.Definitions(sensors=[1]), "Definitions: sensors is not supported: "),
        (lambda: dg.Definitions(resources={"a": 1}), "Definitions: resources is not supported: "),
        (lambda: dg.Definitions(job=[]), "Definitions: 'job' is unknown; allowed: assets, jobs, executor."),
        (lambda: dg.Definitions(executor=3), "Definitions.executor: 3 is not allowed: use multiprocess_executor or"),
    ],
)
def test_what_ops_jobs_and_definitions_can_not_have_is_named(define, said):
    with pytest.raises(dg.DefinitionError) as error:
        define()
    assert str(error.value).startswith(said)


def test_what_is_not_used_may_be_said_to_be_none():
    assert dg.asset(partitions_def=None, key_prefix=None, ins={})(made).name == "made"
    assert dg.Definitions(schedules=[], sensors=None, resources={}).jobs == ()


def test_an_executor_can_be_configured_in_steps():
    executor = dg.multiprocess_executor.configured({"max_concurrent": 2, "retries": {"enabled": {}}}, name="careful")
    narrower = executor.configured({"tag_concurrency_limits": [{"key": "db", "limit": 1}]})
    assert (narrower.max_concurrent, len(narrower.tag_limits)) == (2, 1)
    assert narrower.configured({"max_concurrent": None}).max_concurrent is None
    assert dg.in_process_executor.configured({"retries": {"enabled": {}}}).max_concurrent == 1
    with pytest.raises(dg.DefinitionError, match=r"retries .* is not allowed: use {'enabled': {}}"):
        executor.configured({"retries": {"disabled": {}}})


@pytest.mark.parametrize("name", ["MaterializeResult", "AssetSelection", "AssetKey", "Config", "asset_check"])
def test_what_there_is_not_is_said_with_where_to_look(name):
    with pytest.raises(AttributeError, match=rf"^Sluice has no {name}: .*docs/reference/authoring\.md"):
        getattr(dg, name)
    assert not hasattr(dg, name)
