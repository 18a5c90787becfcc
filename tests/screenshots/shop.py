"""The jobs of a shop's data team: something to look at. Nothing of it is ever executed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Annotated, Literal

from pydantic import Field

import controlplane as dg


def _work(before: list | None = None) -> None: ...


def _op(name: str, pool: str | None = None, **more):
    return dg.op(name=name, pool=pool, **more)(_work)


class Schema(Enum):
    MART = "MART"
    SANDBOX = "SANDBOX"


@dataclass
class Report:
    to: str = field(metadata={"description": "Who is told when it is over"})
    after: Annotated[int, Field(ge=1, le=240, description="Minutes")] = 45


@dataclass
class Window:
    target_schema: Schema = Schema.MART
    lookback_days: int = 3
    full_refresh: bool = False
    tables: list[str] = field(default_factory=lambda: ["orders", "sessions"])
    parts: list[Literal["extract", "stage", "load"]] = field(default_factory=lambda: ["extract", "load"])
    until: date | None = None
    report: Report = field(default_factory=lambda: Report("data-team"))
    weights: dict[str, float] = field(default_factory=dict)


@dg.job(params=Window, tags={"team": "core", "env": "prod"})
def daily_marts():
    """Extracts, stages and loads the marts that everybody reads in the morning."""
    fx = _op("extract_fx", "vendor_sftp")()
    loaded = {}
    for name in ("orders", "sessions", "refunds"):
        extracted = _op(f"extract_{name}", "s3_ingest")()
        retry = dg.RetryPolicy(max_retries=2, delay=60) if name == "refunds" else None
        staged = _op(f"stage_{name}", "dbt", retry_policy=retry)([extracted])
        loaded[name] = _op(f"load_{name}", "warehouse")([staged])
    revenue = _op("build_mart_revenue", "dbt")([fx, loaded["orders"], loaded["refunds"]])
    retention = _op("build_mart_retention", "dbt")([loaded["refunds"], loaded["sessions"]])
    checked = _op("quality_checks")([revenue, retention])
    _op("publish_dashboards")([checked])


@dg.job(tags={"team": "finance"})
def nightly_billing():
    """Charges what was ordered."""
    invoices = _op("load_invoices", "warehouse")()
    _op("charge_invoices", "stripe_api")([invoices])


@dg.job(tags={"team": "core"})
def orders_hourly():
    """Keeps the order facts fresh."""
    _op("build_fct_orders", "warehouse")()
    _op("build_fct_refunds", "warehouse")()


def _backfill():
    for day in range(17, 23):
        _op(f"load_partition_11_{day}", "warehouse")()


warehouse_backfill = dg.job(
    name="warehouse_backfill",
    tags={"team": "platform"},
    executor_def=dg.multiprocess_executor.configured({"max_concurrent": 4}),
)(_backfill)


def _growth():
    _op("score_customers", "gpu_a10")()
    _op("push_audiences", "stripe_api")()


growth_scores = dg.job(name="growth_scores", tags={"team": "growth"})(_growth)
growth_attribution = dg.job(name="growth_attribution", tags={"team": "growth"})(_growth)


@dg.job(tags={"team": "ml"})
def product_embeddings():
    """Asks the provider for embeddings of new products."""
    for part in range(1, 7):
        _op(f"embed_part_{part}", "embeddings")()


@dg.job(tags={"team": "ops"})
def inventory():
    """Counts what is left."""
    _op("snapshot_inventory", "warehouse")()
    _op("fetch_vendor_stock", "vendor_sftp")()


@dg.asset(pool="warehouse")
def customers():
    """All customers, from the warehouse."""


@dg.asset(pool="s3_ingest")
def clicks():
    """What was clicked, from the bucket."""


@dg.asset
def funnel(customers, clicks):
    """How many of them bought."""
