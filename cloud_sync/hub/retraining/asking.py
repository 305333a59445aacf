"""A training asked for by hand: written into the store, where a worker finds it."""

import time

from cloud_sync.hub.retraining.cloud_toml import CloudConfig
from cloud_sync.hub.retraining.errors import RequestRefusedError
from cloud_sync.hub.retraining.gathering import weighed
from cloud_sync.hub.retraining.runs import Run, Runs
from cloud_sync.hub.store.engine import open_engine


def ask(config: CloudConfig, product: str) -> Run:
    """Begin a run of the product, whatever its triggers say; past the cool-down, within the budget.

    Raises:
        CloudConfigError: cloud.toml has no such product.
        RequestRefusedError: one is under way, the budget is spent, or nothing has a label.
        StoreError: the database failed.
    """
    section, now_ms = config.product_of(product), time.time_ns() // 1_000_000
    open_engine(config.cloud.store, create=False).dispose()  # a mistyped place is refused, not made
    with Runs(config.cloud.store) as runs:
        found = weighed(runs, section, now_ms, by_hand=True)
        if found.fires is None:
            raise RequestRefusedError(f"{product}: {found.held}")
        return runs.open(product, found.fires.trigger, found.fires.why, now_ms)
