"""What a configuration file may say, and what is said when it says something else."""

from __future__ import annotations

import pytest

from runs import config
from runs.config import UNSET, Configuration, InvalidConfiguration
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


@pytest.mark.parametrize("text", ["", "# only a comment", "concurrency:", "concurrency: {runs: , pools: }", "{}"])
def test_what_is_not_mentioned_is_left_alone(text: str) -> None:
    assert config.parse(text) == Configuration(UNSET, UNSET, UNSET, {})


def test_pools_may_be_listed_with_their_limits() -> None:
    assert config.parse("concurrency: {pools: {limits: {database: 2, a/b.c: 0}}}").pool_limits == {
        "database": 2,
        "a/b.c": 0,
    }


def test_no_limit_has_a_spelling_for_each_setting() -> None:
    found = config.parse("concurrency: {runs: {max_concurrent_runs: -1}, pools: {default_limit: null}}")
    assert (found.max_concurrent_runs, found.default_limit) == (None, None)


def test_an_empty_list_of_rules_is_a_list_of_rules() -> None:
    assert config.parse("concurrency: {runs: {tag_concurrency_limits: []}}").tag_rules == ()


def test_settings_that_can_not_be_changed_yet_may_say_what_is_so() -> None:
    text = """
    concurrency:
      runs: {block_op_concurrency_limited_runs: {enabled: false}}
      pools: {granularity: op, op_granularity_run_buffer: 0}
    """
    assert config.parse(text) == Configuration()


def test_anchors_and_merges_of_yaml_work_and_are_no_duplicates() -> None:
    text = """
    concurrency:
      pools:
        limits:
          <<: &base {database: 2, api: 3}
          api: 1
    """
    assert config.parse(text).pool_limits == {"database": 2, "api": 1}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("storage: {}", "storage: unknown; allowed: concurrency."),
        (
            "concurrency: {run: {}}",
            "concurrency.run: unknown; allowed: runs, pools.",
        ),
        (
            "concurrency: {pools: {limit: 3}}",
            "concurrency.pools.limit: unknown; allowed: default_limit, limits, granularity, op_granularity_run_buffer.",
        ),
        ("concurrency: {pools: {true: 3}}", "concurrency.pools.True: unknown; allowed:"),
        ("run_queue: {}", "run_queue: this older spelling is not read: write concurrency.runs."),
        (
            "concurrency: {default_op_concurrency_limit: 3}",
            "concurrency.default_op_concurrency_limit: this older spelling is not read: "
            "write concurrency.pools.default_limit.",
        ),
        (
            "concurrency: {pools: {granularity: run}}",
            "concurrency.pools.granularity: 'run' is not allowed: this version knows only op.",
        ),
        (
            "concurrency: {pools: {op_granularity_run_buffer: 1}}",
            "concurrency.pools.op_granularity_run_buffer: 1 is not allowed: this version knows only 0.",
        ),
        ("concurrency: {pools: {op_granularity_run_buffer: false}}", "op_granularity_run_buffer: False is not allowed"),
        (
            "concurrency: {runs: {block_op_concurrency_limited_runs: {enabled: true}}}",
            "this version knows only {enabled: false}.",
        ),
        ("concurrency: 3", "concurrency: 3 is not allowed: use a mapping with runs, pools."),
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
                f"concurrency.pools.default_limit: {shown} is not allowed: use a whole number from 0 to 100000.",
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
        granularity: run
    runs: 3
    """
    assert [line.split(": ")[0] for line in errors_of(text)] == [
        "runs",
        "concurrency.pools.granularity",
        "concurrency.runs.max_concurrent_runs",
        "concurrency.runs.tag_concurrency_limits[0].limit",
        "concurrency.runs.tag_concurrency_limits[1]",
        "concurrency.pools.default_limit",
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
        ("a: 2020-13-45", "the file: no YAML: month must be in 1..12."),
        ("a: \x01", "the file: no YAML: unacceptable character"),
        ("a: " + "[" * 5000, "the file: no YAML:"),
        ("a: 0x" + "f" * 9000, "the file: line 1, column 4: this number is too large."),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_yaml_is_said_with_its_place(text: str, said: str) -> None:
    (error,) = errors_of(text)
    assert said in error


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
        (binary, "it is not UTF-8 text (byte 13)."),
        (large, "it is larger than 1048576 bytes: this is no configuration file."),
    ]:
        with pytest.raises(InvalidConfiguration) as caught:
            config.read(str(path))
        assert caught.value.errors == (f"{path}: {said}",)
