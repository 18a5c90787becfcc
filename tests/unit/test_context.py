"""What an op's function is given as its first argument."""

from __future__ import annotations

import logging

import pytest

from runs.context import AssetExecutionContext, OpExecutionContext


def context(kind=OpExecutionContext, attempt=1):
    return kind(
        run_id="abc",
        job_name="nightly",
        op_key="load",
        attempt=attempt,
        idempotency_key="abc:load",
        tags={"team": "growth"},
        op_tags={"kind": "heavy"},
        params={},
        log=logging.getLogger("op"),
    )


def test_attempts_count_from_1_and_retries_from_0():
    assert (context().attempt, context().retry_number) == (1, 0)
    assert context(attempt=3).retry_number == 2


def test_tags_are_those_of_the_run():
    assert context().has_tag("team")
    assert context().get_tag("team") == "growth"
    assert not context().has_tag("kind")
    assert context().get_tag("kind") is None


def test_an_asset_knows_its_key():
    assert context(AssetExecutionContext).asset_key == "load"


def test_nobody_changes_a_context():
    with pytest.raises(AttributeError):
        context().attempt = 2
