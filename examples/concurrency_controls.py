"""The concurrency controls, one by one: pools, executor limits, tag limits.

Written against Dagster; here the import line alone is another. The fourth control, the run queue, is
configuration: see examples/controlplane.yaml.
"""

import time

import controlplane as dg

# --- Solution 1: concurrency pools, limits across all runs ---


@dg.asset(pool="database")
def query_customers(context: dg.AssetExecutionContext):
    """Asset assigned to the 'database' pool."""
    context.log.info("Querying customers table...")
    time.sleep(5)  # Simulate database query
    return {"count": 1000}


@dg.asset(pool="database")
def query_orders(context: dg.AssetExecutionContext):
    """Asset assigned to the 'database' pool."""
    context.log.info("Querying orders table...")
    time.sleep(5)  # Simulate database query
    return {"count": 5000}


@dg.asset(pool="api")
def fetch_external_data(context: dg.AssetExecutionContext):
    """Asset assigned to the 'api' pool."""
    context.log.info("Fetching from external API...")
    time.sleep(3)  # Simulate API call
    return {"status": "success"}


# --- Solution 2: executor concurrency, limits within a single run ---


@dg.asset
def asset_a(context: dg.AssetExecutionContext):
    context.log.info("Processing asset A...")
    time.sleep(2)


@dg.asset
def asset_b(context: dg.AssetExecutionContext):
    context.log.info("Processing asset B...")
    time.sleep(2)


@dg.asset
def asset_c(context: dg.AssetExecutionContext):
    context.log.info("Processing asset C...")
    time.sleep(2)


@dg.asset
def asset_d(context: dg.AssetExecutionContext):
    context.log.info("Processing asset D...")
    time.sleep(2)


# Limit concurrent ops within a single run to 2
limited_job = dg.define_asset_job(
    name="limited_concurrency_job",
    selection=[asset_a, asset_b, asset_c, asset_d],
    executor_def=dg.multiprocess_executor.configured({"max_concurrent": 2}),
)

# --- Solution 3: tag-based concurrency, grouped limits within a single run ---


@dg.asset(op_tags={"database": "warehouse"})
def warehouse_sync(context: dg.AssetExecutionContext):
    """Tagged asset for tag-based concurrency control."""
    context.log.info("Syncing to warehouse...")
    time.sleep(10)


@dg.asset(op_tags={"database": "warehouse"})
def warehouse_aggregate(context: dg.AssetExecutionContext):
    """Another asset with same tag for concurrency grouping."""
    context.log.info("Aggregating warehouse data...")
    time.sleep(10)


# Job with tag concurrency limits
warehouse_job = dg.define_asset_job(
    name="warehouse_job",
    selection=[warehouse_sync, warehouse_aggregate],
    executor_def=dg.multiprocess_executor.configured(
        {
            "max_concurrent": 4,
            "tag_concurrency_limits": [{"key": "database", "value": "warehouse", "limit": 1}],
        }
    ),
)
