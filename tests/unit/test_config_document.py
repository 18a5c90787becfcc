"""What a configuration file may say, and what is said when it says something else."""

from __future__ import annotations

import pytest

from runs import config
from runs.config import Configuration, InvalidConfiguration, ListedPool
from runs.tag_limits import TagLimit

POOLS = """
concurrency:
  pools:
    default_limit: 5
"""
RUN_QUEUE = """
concurrency:
  runs:
    max_concurrent_runs: 10
    tag_concurrency_limits:
      - key: 'dagster/backfill'
        limit: 3
"""
COMBINED = """
concurrency:
  runs:
    max_concurrent_runs: 10
  pools:
    default_limit: 3
"""


def errors_of(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidConfiguration) as caught:
        config.parse(text, "the file")
    assert all("\n" not in line and len(line) <= 500 for line in caught.value.errors)
    return caught.value.errors


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (POOLS, Configuration(default_limit=5)),
        (
            RUN_QUEUE,
            Configuration(max_concurrent_runs=10, tag_rules=(TagLimit("dagster/backfill", 3),)),
        ),
        (COMBINED, Configuration(max_concurrent_runs=10, default_limit=3)),
    ],
    ids=["pools", "run queue", "combined"],
)
def test_the_blocks_that_dagsters_users_know_are_understood(text: str, meant: Configuration) -> None:
    assert config.parse(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "concurrency:",
        "concurrency: {runs: , pools: }",
        "{}",
        "run_queue:",
        "concurrency: {runs: {block_op_concurrency_limited_runs: {}}, pools: {limits: }, run_queue: {}}",
    ],
)
def test_what_is_not_mentioned_is_left_alone(text: str) -> None:
    assert config.parse(text) == Configuration()


def test_pools_may_be_listed_with_their_limits() -> None:
    assert config.parse("concurrency: {pools: {limits: {database: 2, a/b.c: 0}}}").pools == {
        "database": ListedPool(2),
        "a/b.c": ListedPool(0),
    }


def test_a_pool_may_have_a_granularity_of_its_own_and_give_it_up_again() -> None:
    text = """
    concurrency:
      pools:
        limits:
          database: {limit: 2, granularity: run}
          api: {granularity: default}
          disk: {limit: 3, granularity: null}
          mail: {}
    """
    assert config.parse(text).pools == {
        "database": ListedPool(2, "run"),
        "api": ListedPool(granularity=""),
        "disk": ListedPool(3),
        "mail": ListedPool(),
    }


def test_a_list_of_no_pools_is_a_list_and_none_at_all_is_not() -> None:
    assert config.parse("concurrency: {pools: {limits: {}}}") == Configuration(pools={})
    assert config.parse("concurrency: {pools: {limits: }}") == Configuration()


def test_no_limit_has_a_spelling_for_each_setting() -> None:
    found = config.parse("concurrency: {runs: {max_concurrent_runs: -1}, pools: {default_limit: null}}")
    assert (found.max_concurrent_runs, found.default_limit) == (None, None)


def test_an_empty_list_of_rules_is_a_list_of_rules() -> None:
    assert config.parse("concurrency: {runs: {tag_concurrency_limits: []}}").tag_rules == ()


def test_the_settings_of_the_pool_check_and_of_granularity_are_understood() -> None:
    text = """
    concurrency:
      runs: {block_op_concurrency_limited_runs: {enabled: false}}
      pools: {granularity: run, op_granularity_run_buffer: 3}
    """
    assert config.parse(text) == Configuration(check_at_queue=False, granularity="run", run_buffer=3)


@pytest.mark.parametrize("older", ["run_queue", "concurrency.run_queue"])
def test_the_older_spellings_of_dagster_are_understood(older: str) -> None:
    text = """
    run_queue:
      max_concurrent_runs: 5
      tag_concurrency_limits:
        - key: "dagster/solid_selection"
          limit: 2
      block_op_concurrency_limited_runs:
        enabled: true
        op_concurrency_slot_buffer: 1
    """
    if older != "run_queue":
        text = "concurrency:\n" + text.replace("\n    ", "\n      ")
    assert config.parse(text) == Configuration(
        max_concurrent_runs=5,
        tag_rules=(TagLimit("dagster/solid_selection", 2),),
        check_at_queue=True,
        run_buffer=1,
    )
    assert config.parse("concurrency: {default_op_concurrency_limit: 3}") == Configuration(default_limit=3)


def test_older_and_newer_spellings_of_different_settings_stand_side_by_side() -> None:
    text = """
    concurrency:
      pools: {granularity: run, op_granularity_run_buffer: 1}
      runs: {max_concurrent_runs: 5}
    run_queue: {tag_concurrency_limits: []}
    """
    assert config.parse(text) == Configuration(max_concurrent_runs=5, tag_rules=(), granularity="run", run_buffer=1)


@pytest.mark.parametrize(
    ("text", "one", "other"),
    [
        (
            "{concurrency: {runs: {max_concurrent_runs: 5}}, run_queue: {max_concurrent_runs: 6}}",
            "concurrency.runs.max_concurrent_runs",
            "run_queue.max_concurrent_runs: 6",
        ),
        (
            "{concurrency: {run_queue: {max_concurrent_runs: 5}}, run_queue: {max_concurrent_runs: 5}}",
            "concurrency.run_queue.max_concurrent_runs",
            "run_queue.max_concurrent_runs: 5",
        ),
        (
            "concurrency: {runs: {tag_concurrency_limits: []}, run_queue: {tag_concurrency_limits: []}}",
            "concurrency.runs.tag_concurrency_limits",
            "concurrency.run_queue.tag_concurrency_limits: []",
        ),
        (
            "concurrency: {default_op_concurrency_limit: 3, pools: {default_limit: null}}",
            "concurrency.pools.default_limit",
            "concurrency.default_op_concurrency_limit: 3",
        ),
        (
            "{concurrency: {runs: {block_op_concurrency_limited_runs: {enabled: true}}},"
            " run_queue: {block_op_concurrency_limited_runs: {enabled: false}}}",
            "concurrency.runs.block_op_concurrency_limited_runs.enabled",
            "run_queue.block_op_concurrency_limited_runs.enabled: False",
        ),
        (
            "{concurrency: {pools: {op_granularity_run_buffer: 1}},"
            " run_queue: {block_op_concurrency_limited_runs: {op_concurrency_slot_buffer: 1}}}",
            "concurrency.pools.op_granularity_run_buffer",
            "run_queue.block_op_concurrency_limited_runs.op_concurrency_slot_buffer: 1",
        ),
    ],
)
def test_two_spellings_of_one_setting_are_an_error_that_names_both(text: str, one: str, other: str) -> None:
    assert errors_of(text) == (f"{other} is not allowed: {one} is the same setting; use one of the two.",)


def test_anchors_and_merges_of_yaml_work_and_are_no_duplicates() -> None:
    text = """
    concurrency:
      pools:
        limits:
          <<: &base {database: 2, api: 3}
          api: 1
    """
    assert config.parse(text).pools == {"database": ListedPool(2), "api": ListedPool(1)}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("storage: {}", "storage: unknown; allowed: concurrency, run_queue."),
        (
            "concurrency: {run: {}}",
            "concurrency.run: unknown; allowed: runs, pools, default_op_concurrency_limit, run_queue.",
        ),
        (
            "concurrency: {pools: {limit: 3}}",
            "concurrency.pools.limit: unknown; allowed: default_limit, granularity, op_granularity_run_buffer, limits.",
        ),
        ("concurrency: {pools: {true: 3}}", "concurrency.pools.True: unknown; allowed:"),
        (
            "run_coordinator: {}",
            "run_coordinator: this older spelling is not read: write concurrency.runs.",
        ),
        (
            "default_op_concurrency_limit: 3",
            "default_op_concurrency_limit: this older spelling is not read here: "
            "write concurrency.pools.default_limit.",
        ),
        (
            "concurrency: {runs: {block_op_concurrency_limited_runs: {op_concurrency_slot_buffer: 3}}}",
            "concurrency.runs.block_op_concurrency_limited_runs.op_concurrency_slot_buffer: not read here: "
            "write concurrency.pools.op_granularity_run_buffer.",
        ),
        (
            "run_queue: {dequeue_interval_seconds: 3}",
            "run_queue.dequeue_interval_seconds: a setting of Dagster's that has no use here: leave it out.",
        ),
        ("run_queue: {max: 3}", "run_queue.max: unknown; allowed: max_concurrent_runs, tag_concurrency_limits,"),
        (
            "run_queue: {max_concurrent_runs: -2}",
            "run_queue.max_concurrent_runs: -2 is not allowed: use a whole number, 0 or more, or -1 for no limit.",
        ),
        *(
            (
                f"concurrency: {{pools: {{granularity: {written}}}}}",
                f"concurrency.pools.granularity: {shown} is not allowed: use op or run.",
            )
            for written, shown in [("both", "'both'"), ("", "None"), ("default", "'default'"), ("[op]", "['op']")]
        ),
        *(
            (
                f"concurrency: {{pools: {{op_granularity_run_buffer: {written}}}}}",
                f"concurrency.pools.op_granularity_run_buffer: {shown} is not allowed: "
                "use a whole number from 0 to 100000.",
            )
            for written, shown in [("-1", "-1"), ("100001", "100001"), ("false", "False"), ("", "None")]
        ),
        *(
            (
                f"concurrency: {{runs: {{block_op_concurrency_limited_runs: {{enabled: {written}}}}}}}",
                f"concurrency.runs.block_op_concurrency_limited_runs.enabled: {shown} is not allowed: "
                "use true or false.",
            )
            for written, shown in [("1", "1"), ("'no'", "'no'"), ("", "None")]
        ),
        (
            "concurrency: {runs: {block_op_concurrency_limited_runs: false}}",
            "block_op_concurrency_limited_runs: False is not allowed: use a mapping with enabled.",
        ),
        (
            "concurrency: 3",
            "concurrency: 3 is not allowed: use a mapping with runs, pools, default_op_concurrency_limit, run_queue.",
        ),
        ("concurrency: {runs: [1]}", "concurrency.runs: [1] is not allowed: use a mapping with"),
        ("hello", "the file: 'hello' is not allowed: begin with `concurrency:`."),
        ("- 1", "the file: [1] is not allowed: begin with `concurrency:`."),
        *(
            (
                f"concurrency: {{runs: {{max_concurrent_runs: {written}}}}}",
                f"concurrency.runs.max_concurrent_runs: {shown} is not allowed: "
                "use a whole number, 0 or more, or -1 for no limit.",
            )
            for written, shown in [
                ("-2", "-2"),
                ("2.0", "2.0"),
                ("'3'", "'3'"),
                ("yes", "True"),
                ("", "None"),
                ("[3]", "[3]"),
                (str(2**31), str(2**31)),
            ]
        ),
        *(
            (
                f"concurrency: {{pools: {{default_limit: {written}}}}}",
                f"concurrency.pools.default_limit: {shown} is not allowed: "
                "use a whole number from 0 to 100000, or null for no limit.",
            )
            for written, shown in [
                ("-1", "-1"),
                ("2.5", "2.5"),
                ("'3'", "'3'"),
                ("no", "False"),
                ("100001", "100001"),
                ("{}", "{}"),
            ]
        ),
        (
            "concurrency: {pools: {limits: {database: -2}}}",
            "concurrency.pools.limits.database: -2 is not allowed: use a whole number from 0 to 100000.",
        ),
        ("concurrency: {pools: {limits: {database: }}}", "concurrency.pools.limits.database: None is not allowed"),
        (
            "concurrency: {pools: {limits: {database: {limit: }}}}",
            "concurrency.pools.limits.database.limit: None is not allowed: use a whole number from 0 to 100000.",
        ),
        (
            "concurrency: {pools: {limits: {database: {granularity: each}}}}",
            "concurrency.pools.limits.database.granularity: 'each' is not allowed: use op, run or default.",
        ),
        (
            "concurrency: {pools: {limits: {database: {size: 3}}}}",
            "concurrency.pools.limits.database.size: unknown; allowed: limit, granularity.",
        ),
        ("concurrency: {pools: {limits: [database]}}", "concurrency.pools.limits: ['database'] is not allowed"),
        ("concurrency: {pools: {limits: {a b: 1}}}", "concurrency.pools.limits: 'a b' is not a pool's name"),
        ("concurrency: {pools: {limits: {2024: 1}}}", "Put a name that YAML reads as something else in quotes."),
        (
            "concurrency: {runs: {tag_concurrency_limits: }}",
            "concurrency.runs.tag_concurrency_limits: None is not allowed: use a list of rules; [] for none.",
        ),
        (
            "concurrency: {runs: {tag_concurrency_limits: {key: a, limit: 1}}}",
            "use a list of rules; [] for none.",
        ),
        (
            "concurrency: {runs: {tag_concurrency_limits: [{key: a, limit: -1}]}}",
            "concurrency.runs.tag_concurrency_limits[0].limit: -1 is not allowed: use a whole number, 0 or more.",
        ),
        (
            "concurrency: {runs: {tag_concurrency_limits: [{key: a, limit: 1}, {key: a, limit: 2}]}}",
            "concurrency.runs.tag_concurrency_limits[1]: there is a rule for a already; name each rule once.",
        ),
        (
            'concurrency: {runs: {tag_concurrency_limits: [{key: "a\\0b", limit: 1}]}}',
            "concurrency.runs.tag_concurrency_limits[0].key: 'a\\x00b' is not allowed",
        ),
        (
            'concurrency: {runs: {tag_concurrency_limits: [{key: a, value: "\\ud800", limit: 1}]}}',
            "concurrency.runs.tag_concurrency_limits[0].value: '\\ud800' is not allowed",
        ),
    ],
)
def test_what_is_wrong_is_named_by_path_value_and_what_is_allowed(text: str, line: str) -> None:
    (error,) = errors_of(text)
    assert line in error


def test_everything_that_is_wrong_is_said_at_once() -> None:
    text = """
    concurrency:
      runs:
        max_concurrent_runs: ten
        tag_concurrency_limits: [{key: a, limit: -1}, 7, {key: b, limit: 1}]
      pools:
        default_limit: -1
        limits: {database: 2, api: -2}
        granularity: ops
    runs: 3
    """
    assert [line.split(": ")[0] for line in errors_of(text)] == [
        "runs",
        "concurrency.runs.max_concurrent_runs",
        "concurrency.runs.tag_concurrency_limits[0].limit",
        "concurrency.runs.tag_concurrency_limits[1]",
        "concurrency.pools.default_limit",
        "concurrency.pools.granularity",
        "concurrency.pools.limits.api",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("concurrency: [1", "the file: line 1, column 16: expected ',' or ']'"),
        ("concurrency: {}\nconcurrency: {}", "the file: line 2, column 1: the key concurrency stands twice."),
        ("concurrency: {pools: {limits: {a: 1, 'a': 2}}}", "the key a stands twice."),
        ("a: 1\n---\nb: 2", "the file: line 2, column 1:"),
        ("? [a]\n: 1", "the file: line 1, column 3: found unhashable key."),
        ("a: *nobody", "undefined alias"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor for the tag"),
        ("a: 2020-13-45", "the file: line 1, column 4: '2020-13-45' is no timestamp."),
        ("a: !!int x", "the file: line 1, column 4: 'x' is no int."),
        ("a: !!int", "the file: line 1, column 4: '' is no int."),
        ("a: !!bool x", "the file: line 1, column 4: 'x' is no bool."),
        ("a: !!timestamp x", "the file: line 1, column 4: 'x' is no timestamp."),
        ("a: \x01", "the file: no YAML: unacceptable character"),
        ("a: " + "[" * 5000, "the file: no YAML:"),
        ('a: "\\U0014243E"', "the file: no YAML:"),
        ('a: "\\UFFFFFFFF"', "the file: no YAML:"),
        ("a: 0x" + "f" * 9000, "the file: line 1, column 4: this number is too large."),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_yaml_is_said_with_its_place(text: str, said: str) -> None:
    (error,) = errors_of(text)
    assert said in error


def test_a_small_file_that_says_much_is_read_in_no_time_and_its_errors_are_short() -> None:
    bomb = "a: &a0 [x, x]\n" + "".join(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    merges = "c: &c0 {x: 1}\n" + "".join(
        f"d{n}: &c{n} {{<<: [{', '.join([f'*c{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
    )
    errors = errors_of(
        f"{bomb}{merges}concurrency: {{runs: {{tag_concurrency_limits: [{{key: *a29, limit: 1}}, *a29]}}}}"
    )
    assert len(errors) == 2 * 30 + 2
    assert "tag_concurrency_limits[0].key: [" in errors[-2]
    assert errors[-1].endswith(" is not allowed: use key, value and limit.")


def test_what_is_allowed_is_said_however_long_a_name_or_a_value_is() -> None:
    long = "x" * 1000
    text = f"""
    concurrency:
      {long}: 1
      runs: {{tag_concurrency_limits: [{{key: {long}, limit: 1}}, {{key: a, limit: 1, {long}: 2}}]}}
      pools:
        granularity: {long}
        limits: {{{long}: 1, a: {long}, b: {{{long}: 1}}, {long[:200]}: {long}}}
    """
    assert [line.rpartition(": ")[2] for line in errors_of(text)] == [
        "runs, pools, default_op_concurrency_limit, run_queue.",
        "use the name of a tag, 1 to 200 characters.",
        "key, value, limit.",
        "use op or run.",
        "use 1 to 200 characters without white space.",
        "use a whole number from 0 to 100000.",
        "limit, granularity.",
        "use a whole number from 0 to 100000.",
    ]


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path) -> None:
    path = tmp_path / "controlplane.yaml"
    path.write_text(POOLS, encoding="utf-8-sig")
    assert config.read(str(path)) == Configuration(default_limit=5)


def test_a_file_that_can_not_be_read_is_named(tmp_path) -> None:
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"concurrency: \xff")
    large.write_bytes(b"#" * (1024 * 1024 + 1))
    for path, said in [
        (tmp_path / "missing", "No such file or directory"),
        (tmp_path, "Is a directory"),
        ("a\0b", "embedded null byte"),
        (binary, "it is not UTF-8 text (byte 13)."),
        (large, "it is larger than 1048576 bytes: this is no configuration file."),
    ]:
        with pytest.raises(InvalidConfiguration) as caught:
            config.read(str(path))
        assert caught.value.errors == (f"{path}: {said}",)
