"""The document that this project was written for runs as it stands, and its limits hold by the ops' own times."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

import examples.concurrency_controls
from pools import sizing
from runs import catalog, launch, run_limits, states
from runs.models import Op, Run
from tests.acceptance.conftest import Workers, wait_until_over
from tests.acceptance.intervals import most_at_once
from tests.builders import ADA

MODULE = examples.concurrency_controls.__name__
DOCUMENT = Path(__file__).resolve().parents[3] / "shared" / "seed" / "concurrency-controls.txt"


def times(ops: list[Op]) -> list[tuple]:
    assert ops
    return [(op.started_at, op.ended_at) for op in ops]


@pytest.mark.django_db(transaction=True)
def test_the_limits_hold_while_everything_runs_at_once(workers: Workers) -> None:
    loaded = catalog.load([MODULE])
    assert not loaded.problems
    sizing.set_limit("database", 2, ADA)
    workers(12, MODULE)
    pooled = launch.find_assets(loaded, ["query_customers", "query_orders", "fetch_external_data"])
    assets = [launch.launch(pooled, who="ada", door="cli") for _ in range(4)]
    limited = launch.launch(launch.find_job(loaded, "limited_concurrency_job"), who="ada", door="cli")
    warehouse = launch.launch(launch.find_job(loaded, "warehouse_job"), who="ada", door="cli")
    runs = [*assets, limited, warehouse]
    wait_until_over(runs)
    assert [run.state for run in runs] == [states.SUCCESS] * 6

    ops = list(Op.objects.all())
    assert len(ops) == 4 * 3 + 4 + 2
    assert {(op.state, op.attempt) for op in ops} == {(states.SUCCESS, 1)}
    in_pool = [op for op in ops if op.key in ("query_customers", "query_orders")]
    assert len(in_pool) == 8
    assert most_at_once(times(in_pool)) == 2
    assert most_at_once(times([op for op in ops if op.run_id == limited.pk])) == 2
    assert most_at_once(times([op for op in ops if op.run_id == warehouse.pk])) == 1
    assert most_at_once((run.started_at, run.ended_at) for run in runs) == 6


@pytest.mark.django_db(transaction=True)
def test_a_run_queue_of_one_starts_three_runs_one_at_a_time_priority_first(workers: Workers) -> None:
    loaded = catalog.load([MODULE])
    run_limits.set_maximum(0, ADA)
    workers(4, MODULE)
    job = launch.find_assets(loaded, ["fetch_external_data"])
    first, second, urgent = (launch.launch(job, who="ada", door="cli", priority=p) for p in (None, None, 10))
    assert set(Run.objects.values_list("state", flat=True)) == {states.QUEUED}
    run_limits.set_maximum(1, ADA)
    wait_until_over([first, second, urgent])

    runs = [urgent, first, second]
    assert [run.state for run in runs] == [states.SUCCESS] * 3
    assert list(Run.objects.order_by("started_at")) == runs
    assert most_at_once((run.started_at, run.ended_at) for run in runs) == 1
    assert most_at_once(times(list(Op.objects.all()))) == 1


# --- the example is the document's text -------------------------------------------------------------


@pytest.mark.skipif(not DOCUMENT.exists(), reason=f"the document is not there: {DOCUMENT}")
def test_the_example_holds_every_python_block_of_the_document() -> None:
    """But for its indentation, which the document lost, and the name that is imported."""
    example = tokens(Path(examples.concurrency_controls.__file__).read_text())
    blocks = python_blocks(DOCUMENT.read_text())
    assert len(blocks) == 3
    for block in blocks:
        imports = tokens("import time\nimport controlplane as dg\n")
        found = ["controlplane" if token == "dagster" else token for token in tokens(block)]
        assert found[: len(imports)] == imports
        assert contains(example, imports)
        assert contains(example, found[len(imports) :]), block


def python_blocks(text: str) -> list[str]:
    """From each `import time` to the next line of prose or of a table: these begin with a capital or a bar."""
    return re.findall(r"^import time\n(?:(?![A-Z|]).*\n)*", text, re.MULTILINE)


def tokens(text: str) -> list[str]:
    """What the text says, without how it is laid out."""
    layout = (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE, tokenize.NL, tokenize.ENDMARKER)
    return [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in layout]


def contains(whole: list[str], part: list[str]) -> bool:
    return any(whole[start : start + len(part)] == part for start in range(len(whole) - len(part) + 1))
