"""Finding definitions: what is wrong is named with its place, and does not stop the rest."""

from __future__ import annotations

import re
import sys
from textwrap import dedent

import pytest

from runs import catalog, graph
from runs.definitions import DefinitionError


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Writes modules and loads them: name=source."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def load(*extra, **sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text("import controlplane as dg\n" + dedent(source))
            written.append(name)
        return catalog.load([*sources, *extra])

    yield load
    for name in written:
        sys.modules.pop(name, None)


def problems(found):
    """Module, line and text of each problem."""
    return [(p.module, p.where.rpartition("/")[2], p.text) for p in found.problems]


GOOD = """
    @dg.asset
    def orders(): ...

    @dg.asset
    def report(orders): ...

    @dg.op
    def work(): ...

    @dg.job
    def nightly():
        work()

    everything = dg.define_asset_job("everything")
"""


# --- what is found ----------------------------------------------------------------------------------


def test_assets_and_jobs_of_a_module_are_found(modules):
    found = modules(good_jobs=GOOD)
    assert set(found.assets) == {"orders", "report"}
    assert set(found.jobs) == {"nightly", "everything"}
    assert found.problems == []
    assert found.jobs["nightly"].module == "good_jobs"


def test_a_module_with_definitions_offers_just_those(modules):
    found = modules(good_jobs=dedent(GOOD) + "defs = dg.Definitions(assets=[orders], jobs=[nightly])\n")
    assert set(found.assets) == {"orders"}
    assert set(found.jobs) == {"nightly"}


def test_the_executor_of_definitions_is_the_one_of_jobs_without(modules):
    found = modules(
        good_jobs=dedent(GOOD)
        + """
own = dg.define_asset_job("own", executor_def=dg.multiprocess_executor.configured({"max_concurrent": 3}))
defs = dg.Definitions(assets=[orders, report], jobs=[nightly, everything, own], executor=dg.in_process_executor)
"""
    )
    assert {name: job.executor.max_concurrent for name, job in found.jobs.items()} == {
        "nightly": 1,
        "everything": 1,
        "own": 3,
    }


def test_what_a_module_imports_from_another_is_the_same_and_no_duplicate(modules):
    found = modules(good_jobs=GOOD, more_jobs="from good_jobs import orders, report\n")
    assert found.problems == []


def test_names_count_over_all_modules(modules):
    found = modules(
        good_jobs=GOOD,
        more_jobs="""
            @dg.asset
            def summary(report): ...

            all_of_it = dg.define_asset_job("all_of_it")
        """,
    )
    assert [node.key for node in found.jobs["all_of_it"].nodes] == ["orders", "report", "summary"]
    assert [node.key for node in found.jobs["everything"].nodes] == ["orders", "report", "summary"]


def test_assets_come_in_topological_order(modules):
    found = modules(
        some_jobs="""
            @dg.asset(deps=["b"])
            def a(): ...

            @dg.asset
            def b(): ...

            some = dg.define_asset_job("some", ["a", "b"])
        """
    )
    assert [node.key for node in found.jobs["some"].nodes] == ["b", "a"]
    assert found.jobs["some"].plan.by_key["a"].upstream == ("b",)


def test_a_value_from_outside_the_selection_is_no_upstream(modules):
    found = modules(good_jobs=GOOD + '    only = dg.define_asset_job("only", "report")\n')
    (spec,) = found.jobs["only"].plan.ops
    assert spec.upstream == ()
    assert spec.inputs == {}
    assert spec.outside == {"orders": "orders"}


def test_a_job_knows_its_pools(modules):
    found = modules(
        some_jobs="""
            @dg.op(pool={"b": 1, "a": 2})
            def work(): ...

            @dg.op(pool="a")
            def more(): ...

            @dg.job
            def both():
                work(); more()
        """
    )
    assert found.jobs["both"].pools == ["a", "b"]


def test_the_function_behind_an_op_is_found(modules):
    found = modules(good_jobs=GOOD)
    nightly, everything = found.jobs["nightly"], found.jobs["everything"]
    assert found.definition("nightly", nightly.plan.by_key["work"]).name == "work"
    assert found.definition("everything", everything.plan.by_key["orders"]) is found.assets["orders"]
    assert found.definition(catalog.ASSET_JOB, everything.plan.by_key["orders"]) is found.assets["orders"]


def test_the_function_behind_an_op_that_is_gone_is_named_with_what_is_loaded(modules):
    found = modules(good_jobs=GOOD)
    for job, op in (("nightly", graph.OpSpec("gone")), ("gone", graph.OpSpec("work")), ("x", graph.OpSpec("y", True))):
        with pytest.raises(DefinitionError, match=r"is not defined in what this worker has loaded: good_jobs\.$"):
            found.definition(job, op)


def test_assets_without_a_job(modules):
    found = modules(good_jobs=GOOD)
    job = found.asset_job(["report", "orders", "report"])
    assert [node.key for node in job.nodes] == ["orders", "report"]
    assert job.name == catalog.ASSET_JOB
    with pytest.raises(KeyError):
        found.asset_job(["nowhere"])


# --- what is wrong ----------------------------------------------------------------------------------


def test_a_module_that_can_not_be_imported_does_not_stop_the_others(modules):
    found = modules(broken_jobs="x = 1\nraise RuntimeError('no database')\n", good_jobs=GOOD)
    assert problems(found) == [("broken_jobs", "broken_jobs.py:3", "RuntimeError: no database")]
    assert "raise RuntimeError" in found.problems[0].trace
    assert set(found.jobs) == {"nightly", "everything"}


def test_a_module_that_is_not_there(modules):
    found = modules("nowhere_at_all", good_jobs=GOOD)
    assert problems(found) == [("nowhere_at_all", "", "ModuleNotFoundError: No module named 'nowhere_at_all'")]
    assert found.jobs


def test_a_syntax_error_names_its_module(modules):
    found = modules(broken_jobs="def (\n", good_jobs=GOOD)
    ((module, where, text),) = problems(found)
    assert (module, where) == ("broken_jobs", "broken_jobs.py:2")
    assert text.startswith("SyntaxError:")
    assert "broken_jobs.py, line 2" in text


def test_an_import_that_fails_inside_is_at_the_line_of_our_module(modules):
    found = modules(
        helper_of_jobs="def call():\n    raise KeyError('deep')\n",
        broken_jobs="import helper_of_jobs\n\nhelper_of_jobs.call()\n",
    )
    assert problems(found) == [("broken_jobs", "broken_jobs.py:4", "KeyError: 'deep'")]


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ('@dg.asset(pool="data base")\ndef a(): ...', 2, "asset a: 'data base' is not a pool's name"),
        ('@dg.op(tags={"dagster/priority": "x"})\ndef a(): ...', 2, "op a: dagster/priority 'x' is not allowed"),
        ('dg.multiprocess_executor.configured({"max_concurrent": -1})', 2, "max_concurrent -1 is not allowed"),
        ("@dg.job\ndef empty(): ...", 2, "job empty: it calls no op."),
    ],
)
def test_a_wrong_definition_is_named_with_its_line(modules, source, line, said):
    found = modules(broken_jobs=source + "\n", good_jobs=GOOD)
    ((module, where, text),) = problems(found)
    assert (module, where) == ("broken_jobs", f"broken_jobs.py:{line}")
    assert said in text
    assert found.jobs


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("class Stop(BaseException): ...\n\nraise Stop('at once')\n", "Stop: at once"),
        ("raise SystemExit(0)\n", "SystemExit: 0"),
        ("raise GeneratorExit\n", "GeneratorExit: "),
        (
            "class Mute(Exception):\n    def __str__(self): raise RuntimeError\n\nraise Mute\n",
            "Mute: an error without a text",
        ),
        ("raise ValueError('half \\ud800')\n", "ValueError: half \\ud800"),
    ],
)
def test_however_a_module_fails_it_is_a_problem_of_its_own(modules, source, text):
    found = modules(broken_jobs=source, good_jobs=GOOD)
    ((_, _, said),) = problems(found)
    assert said == text
    assert found.problems[0].trace.encode()
    assert found.jobs


def test_ctrl_c_while_modules_are_loaded_is_no_problem_of_theirs(modules):
    with pytest.raises(KeyboardInterrupt):
        modules(slow_jobs="raise KeyboardInterrupt\n")


def test_what_else_a_module_holds_is_not_looked_into(modules):
    """A lazy object is not evaluated; one that lies about its class does not break the module."""
    found = modules(
        odd_jobs="""
            from django.utils.functional import SimpleLazyObject

            class Bomb:
                @property
                def __class__(self): raise RuntimeError("bomb")

            bomb = Bomb()
            lazy = SimpleLazyObject(lambda: 1 / 0)

            @dg.asset
            def fine(): ...
        """
    )
    assert found.problems == []
    assert set(found.assets) == {"fine"}


def test_what_is_no_plain_function_may_have_no_line_but_is_an_asset_too(modules):
    found = modules(
        good_jobs=GOOD,
        odd_jobs="""
            import functools

            def double(x, times=2): ...

            class Callable:
                def __call__(self): ...

            twice = dg.asset(functools.partial(double, times=3), name="twice")
            called = dg.asset(Callable(), name="orders")
        """,
    )
    assert problems(found) == [
        ("odd_jobs", "", f"asset orders is defined already, at {found.assets['orders'].source}"),
        ("odd_jobs", "odd_jobs.py:5", "asset twice: it depends on x, which is not defined (or is broken itself)"),
    ]


@pytest.mark.parametrize(
    ("source", "line", "text"),
    [
        (
            "@dg.job(\n"
            "    executor_def=dg.multiprocess_executor.configured({'max_concurrent': -1}),\n"
            ")\n"
            "def nightly(): ...\n",
            3,
            "max_concurrent -1 is not allowed: use a whole number, 0 to 2147483647 (0: no limit). "
            "(in the definition of nightly)",
        ),
        (
            "weekly = dg.define_asset_job(\n"
            "    'of_the_week', executor_def=dg.multiprocess_executor.configured({'max_concurrent': '1'})\n)\n",
            3,
            "(in the definition of of_the_week)",
        ),
        (
            "@dg.asset(retry_policy=dg.RetryPolicy(max_retries=-1))\ndef orders(): ...\n",
            2,
            "ValueError: RetryPolicy max_retries: -1 is not allowed: use a whole number, 0 to 2147483647. "
            "(in the definition of orders)",
        ),
        ("@dg.asset(op_tags={'size': 10**5000})\ndef orders(): ...\n", 2, "(in the definition of orders)"),
        ("careful = dg.RetryPolicy(max_retries=-1)\n", 2, "(in the definition of careful)"),
        ("@dg.op(pool='a b')\ndef load(): ...\n", 2, "without white space."),
        ("1 / 0\n", 2, "ZeroDivisionError: division by zero"),
    ],
)
def test_an_error_that_knows_no_name_is_given_the_one_of_its_definition(modules, source, line, text):
    found = modules(broken_jobs=source)
    ((_, where, said),) = problems(found)
    assert where == f"broken_jobs.py:{line}"
    assert said.endswith(text)


def test_an_unknown_dependency(modules):
    found = modules(
        bad_jobs="""
            @dg.asset
            def fine(): ...

            @dg.asset
            def lost(nowhere): ...

            @dg.asset(deps=["lost"])
            def after_it(): ...
        """
    )
    assert set(found.assets) == {"fine"}
    assert problems(found) == [
        ("bad_jobs", "bad_jobs.py:6", "asset lost: it depends on nowhere, which is not defined (or is broken itself)"),
        ("bad_jobs", "bad_jobs.py:9", "asset after_it: it depends on lost, which is not defined (or is broken itself)"),
    ]


def test_a_cycle(modules):
    found = modules(
        bad_jobs="""
            @dg.asset
            def a(b): ...

            @dg.asset(deps=["a"])
            def b(): ...

            @dg.asset
            def fine(): ...
        """,
        good_jobs=GOOD,
    )
    assert set(found.assets) == {"fine", "orders", "report"}
    assert problems(found)[0] == ("bad_jobs", "bad_jobs.py:3", "asset a depends on itself: a -> b -> a")
    assert [text for _, _, text in problems(found)][1].startswith("asset b: it depends on a, which is not defined")


def test_an_asset_that_depends_on_itself(modules):
    found = modules(bad_jobs="@dg.asset\ndef a(a): ...\n")
    assert problems(found) == [("bad_jobs", "bad_jobs.py:2", "asset a depends on itself: a -> a")]


def test_an_asset_defined_twice_is_the_first(modules):
    found = modules(good_jobs=GOOD, more_jobs="@dg.asset\ndef orders(): ...\n")
    ((module, where, text),) = problems(found)
    assert (module, where) == ("more_jobs", "more_jobs.py:2")
    assert re.fullmatch(r"asset orders is defined already, at .*good_jobs\.py:3", text)
    assert found.assets["orders"].source.endswith("good_jobs.py:3")


def test_a_job_defined_twice_is_the_first(modules):
    found = modules(
        good_jobs=GOOD,
        more_jobs="""
            @dg.op
            def other(): ...

            @dg.job
            def nightly():
                other()
        """,
    )
    assert problems(found) == [("more_jobs", "more_jobs.py:6", "job nightly is defined already, in good_jobs")]
    assert found.jobs["nightly"].nodes[0].key == "work"


def test_a_name_that_stands_twice_in_one_module_is_the_first(modules):
    """The module itself knows only the second: in Python the later one takes the name."""
    found = modules(
        twice_jobs="""
            @dg.asset
            def orders(): ...

            @dg.asset
            def orders(): ...

            @dg.asset(name="report")
            def one(): ...

            @dg.asset(name="report")
            def two(): ...

            @dg.op
            def work(): ...

            @dg.job
            def nightly():
                work()

            @dg.job
            def nightly():
                work(); work()

            weekly = dg.define_asset_job("weekly", "orders")
            weekly = dg.define_asset_job("weekly", "report")
        """
    )
    path = found.assets["orders"].source.rpartition(":")[0]
    assert problems(found) == [
        ("twice_jobs", "twice_jobs.py:6", f"asset orders is defined already, at {path}:3"),
        ("twice_jobs", "twice_jobs.py:12", f"asset report is defined already, at {path}:9"),
        ("twice_jobs", "twice_jobs.py:22", "job nightly is defined already, in twice_jobs"),
        ("twice_jobs", "twice_jobs.py:27", "job weekly is defined already, in twice_jobs"),
    ]
    assert [node.key for node in found.jobs["nightly"].nodes] == ["work"]
    assert [node.key for node in found.jobs["weekly"].nodes] == ["orders"]


def test_one_object_under_two_names_is_one(modules):
    found = modules(
        good_jobs=dedent(GOOD) + "again, and_again = nightly, report\n",
        more_jobs="from good_jobs import nightly as other, everything, report\n",
    )
    assert found.problems == []
    assert set(found.jobs) == {"nightly", "everything"}


def test_a_module_that_is_listed_twice_is_one(modules):
    found = modules("good_jobs", "broken_jobs", good_jobs=GOOD, broken_jobs="1 / 0")
    assert [problem.module for problem in found.problems] == ["broken_jobs"]
    assert set(found.jobs) == {"nightly", "everything"}


def test_a_list_at_the_top_of_a_module_is_offered(modules):
    found = modules(
        listed_jobs="""
            def made(name):
                @dg.asset(name=name)
                def one(): ...
                return one

            assets = [made(f"table_{number}") for number in range(3)]
            jobs = (dg.define_asset_job("first", "table_0"), 3)
        """
    )
    assert set(found.assets) == {"table_0", "table_1", "table_2"}
    assert set(found.jobs) == {"first"}


def test_a_job_that_selects_what_is_not_there(modules):
    found = modules(
        bad_jobs="""
            @dg.asset
            def lost(nowhere): ...

            first = dg.define_asset_job("first", ["nothing"])
            second = dg.define_asset_job("second", [lost])
            third = dg.define_asset_job("third")
        """
    )
    assert [text for _, where, text in problems(found)][1:] == [
        "job first: it selects nothing, which is not defined (or is broken)",
        "job second: it selects lost, which is not defined (or is broken)",
        "job third: there are no assets",
    ]
    assert [where for _, where, _ in problems(found)] == [f"bad_jobs.py:{n}" for n in (3, 6, 7, 8)]
    assert found.jobs == {}


def test_a_job_whose_params_can_not_be_launched(modules):
    found = modules(
        bad_jobs="""
            from dataclasses import dataclass

            class Anything: ...

            @dataclass
            class Wrong:
                x: Anything

            @dg.op
            def work(): ...

            @dg.job(params=Wrong)
            def odd():
                work()

            @dg.job
            def fine():
                work()
        """
    )
    ((_, where, text),) = problems(found)
    assert where == "bad_jobs.py:14"
    assert text.startswith("job odd: params Wrong: Unable to generate pydantic-core schema")
    assert set(found.jobs) == {"fine"}


def test_definitions_that_list_something_else(modules):
    found = modules(bad_jobs="defs = dg.Definitions(jobs=[3])\n", good_jobs=GOOD)
    ((_, where, text),) = problems(found)
    assert where == "bad_jobs.py:2"
    assert "Definitions.jobs: 3 is not allowed" in text


def test_no_modules_are_no_problem():
    found = catalog.load([])
    assert (found.jobs, found.assets, found.problems) == ({}, {}, [])


def test_the_catalog_of_a_process_is_loaded_once():
    assert catalog.current() is catalog.current()
    assert "one_op" in catalog.current().jobs


def test_the_examples_have_no_problem():
    found = catalog.load(["examples.concurrency_controls"])
    assert found.problems == []
    assert {"limited_concurrency_job", "warehouse_job"} <= set(found.jobs)
