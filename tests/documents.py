"""Configuration files as plain values, good ones and bad ones, for whoever reads such files."""

from __future__ import annotations

from typing import Any


def runs(**keys: Any) -> dict[str, Any]:
    return {"concurrency": {"runs": keys}}


def pools(**keys: Any) -> dict[str, Any]:
    return {"concurrency": {"pools": keys}}


def limits(**listed: Any) -> dict[str, Any]:
    return pools(limits=listed)


def rules(*rules: Any) -> dict[str, Any]:
    return runs(tag_concurrency_limits=list(rules))


def queue(**keys: Any) -> dict[str, Any]:
    return {"run_queue": keys}


EACH = {"applyLimitPerUniqueValue": True}
EVERYTHING = {
    "concurrency": {
        "runs": {
            "max_concurrent_runs": 10,
            "tag_concurrency_limits": [
                {"key": "dagster/backfill", "limit": 3},
                {"key": "team", "value": "growth", "limit": 0},
                {"key": "team", "value": EACH, "limit": 2},
            ],
            "block_op_concurrency_limited_runs": {"enabled": True},
        },
        "pools": {
            "default_limit": 5,
            "granularity": "op",
            "op_granularity_run_buffer": 2,
            "limits": {
                "database": 2,
                "api": {"limit": 3, "granularity": "run"},
                "disk": {"granularity": "default"},
                "mail": {"limit": 1, "granularity": None},
                "a/b-c:d.e|f,gé": 1,
            },
        },
    }
}
GOOD: list[Any] = [
    None,
    {},
    {"concurrency": None},
    {"concurrency": {}},
    {"concurrency": {"runs": None, "pools": None, "run_queue": None}, "run_queue": None},
    EVERYTHING,
    *(runs(max_concurrent_runs=number) for number in (-1, 0, 1, 2**31 - 1)),
    *(pools(default_limit=number) for number in (None, 0, 100_000)),
    *(pools(granularity=word) for word in ("op", "run")),
    *(pools(op_granularity_run_buffer=number) for number in (0, 100_000)),
    *(limits(a=pool) for pool in (0, 100_000, {}, {"limit": 0}, {"granularity": "run"}, {"granularity": None})),
    pools(limits=None),
    limits(),
    limits(**dict.fromkeys(("x" * 200, "1", "null", "~", "-", "é", "名前", "😀", "<<", "=", "0x1", "'\"", "#"), 1)),
    rules(),
    rules({"key": "k" * 200, "limit": 2**31 - 1, "value": "v" * 500}),
    rules({"key": "k k", "limit": 0, "value": ""}),
    rules({"key": "k", "limit": 0, "value": None}),
    rules({"key": "k", "limit": 0, "value": {"applyLimitPerUniqueValue": False}}),
    rules({"key": "k", "limit": 0}, {"key": "k", "limit": 0, "value": EACH}, {"key": "k", "limit": 0, "value": "v"}),
    *(runs(block_op_concurrency_limited_runs=value) for value in (None, {}, {"enabled": False})),
    {"concurrency": {"default_op_concurrency_limit": 3}},
    {"concurrency": {"default_op_concurrency_limit": None}},
    queue(max_concurrent_runs=5, tag_concurrency_limits=[{"key": "k", "limit": 2}]),
    queue(block_op_concurrency_limited_runs={"enabled": True, "op_concurrency_slot_buffer": 1}),
    {"concurrency": {"run_queue": {"block_op_concurrency_limited_runs": {"op_concurrency_slot_buffer": 0}}}},
    {
        "concurrency": {"pools": {"op_granularity_run_buffer": 1}, "runs": {"max_concurrent_runs": 1}},
        "run_queue": {"tag_concurrency_limits": [], "block_op_concurrency_limited_runs": {"enabled": True}},
    },
]

BAD: list[Any] = [
    "concurrency",
    3,
    [],
    True,
    {"concurrency": 3},
    {"concurrency": []},
    {"concurrency": {"runs": False}},
    {"storage": {}},
    {"run_coordinator": {}},
    {"default_op_concurrency_limit": 3},
    {"concurrency": {"limits": {}}},
    *(runs(max_concurrent_runs=value) for value in (-2, 2**31, 1.5, "3", True, None, [], {})),
    runs(max_runs=3),
    *(pools(default_limit=value) for value in (-1, 100_001, 1.5, "3", False, [], {})),
    *(pools(granularity=value) for value in (None, "default", "OP", "", 1, True, ["op"])),
    *(pools(op_granularity_run_buffer=value) for value in (-1, 100_001, 0.5, "0", None, True)),
    *(limits(a=pool) for pool in (-1, 100_001, 0.5, "0", None, True, [], [1], {"limit": None}, {"limit": "1"})),
    *(limits(a={"granularity": value}) for value in ("OP", "", 1, ["op"])),
    limits(a={"size": 1}),
    limits(a={"limit": 1, "granularity": "run", "paused": True}),
    pools(limits=[]),
    pools(limits="a"),
    *(limits(**{name: 1}) for name in ("", " ", "a b", "a\tb", "a\n", "x" * 201, "\x00", "\x7f", "\xa0", "\u200b")),
    *(rules(rule) for rule in (3, "team", None, [], {}, {"key": "k"}, {"limit": 1}, {"key": "k", "limit": 1, "x": 1})),
    *(rules({"key": key, "limit": 1}) for key in ("", 3, None, "k" * 201, "a\nb", "a\x00b", [])),
    *(rules({"key": "k", "limit": limit}) for limit in (-1, 2**31, 0.5, "1", None, True)),
    *(
        rules({"key": "k", "limit": 1, "value": value})
        for value in (3, True, [], {}, "v" * 501, "a\nb", {"other": True}, {"applyLimitPerUniqueValue": "yes"})
    ),
    rules({"key": "k", "limit": 1, "value": {"applyLimitPerUniqueValue": 1}}),
    rules({"key": "k", "limit": 1, "value": {"applyLimitPerUniqueValue": True, "other": 1}}),
    rules({"key": "k", "limit": 1}, {"key": "k", "limit": 1}),
    runs(tag_concurrency_limits=None),
    runs(tag_concurrency_limits={"key": "k", "limit": 1}),
    *(runs(block_op_concurrency_limited_runs=value) for value in (True, [], {"enabled": None}, {"enabled": 1})),
    runs(block_op_concurrency_limited_runs={"op_concurrency_slot_buffer": 1}),
    *({"concurrency": {"default_op_concurrency_limit": value}} for value in (-1, "3", True)),
    queue(max_concurrent_runs=-2),
    queue(block_op_concurrency_limited_runs={"op_concurrency_slot_buffer": -1}),
    queue(max_user_code_failure_retries=3),
    queue(dequeue_interval_seconds=5),
    runs(max_concurrent_runs=5) | queue(max_concurrent_runs=5),
    runs(block_op_concurrency_limited_runs={"enabled": True})
    | queue(block_op_concurrency_limited_runs={"enabled": False}),
    pools(op_granularity_run_buffer=1) | queue(block_op_concurrency_limited_runs={"op_concurrency_slot_buffer": 1}),
    {"concurrency": {"pools": {"default_limit": 3}, "default_op_concurrency_limit": 3}},
    {"concurrency": {"runs": {"tag_concurrency_limits": []}, "run_queue": {"tag_concurrency_limits": []}}},
    {"concurrency": {"run_queue": {"max_concurrent_runs": 1}}, "run_queue": {"max_concurrent_runs": 1}},
]

ONLY_THE_CHECK_KNOWS: list[Any] = [
    runs(max_concurrent_runs=2.0),
    pools(default_limit=2.0),
    limits(a=2.0),
    rules({"key": "k", "limit": 1.0}),
    rules({"key": "k", "limit": 1}, {"key": "k", "limit": 2}),
    rules({"key": "k", "limit": 1}, {"key": "k", "limit": 1, "value": None}),
    limits(**{"unassigned\U000e0fff": 1}),
]
