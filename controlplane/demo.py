"""What a new data folder shows on its first page: the customer's jobs, with slots held, a line and a queue."""

from __future__ import annotations

from pools import sizing
from pools.sizing import Author
from runs import catalog, launch, run_limits

AUTHOR = Author("demo", "demo", "So that there is something to see")
POOLED = ("query_customers", "query_orders", "fetch_external_data")


def launch_demo() -> None:
    """Set the limits of the examples and launch their jobs a few times. Does nothing without the examples."""
    offered = catalog.load(["examples.concurrency_controls"])
    if offered.problems or not set(POOLED) <= set(catalog.current().assets):
        return
    sizing.set_limit("database", 2, AUTHOR)
    sizing.set_limit("api", 1, AUTHOR)
    sizing.set_run_buffer(4, AUTHOR)  # or most of the runs would wait in the queue, and hardly an op in a line
    run_limits.set_maximum(4, AUTHOR)
    for number in range(1, 6):
        launch.launch(offered.asset_job(POOLED), who="demo", door="demo", tags={"team": "growth", "batch": str(number)})
    launch.launch(offered.jobs["limited_concurrency_job"], who="demo", door="demo", tags={"team": "core"})
    launch.launch(offered.jobs["warehouse_job"], who="demo", door="demo", tags={"team": "core"}, priority=5)
