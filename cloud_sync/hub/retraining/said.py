"""What `cloud status` says of each product: what its triggers wait for, the run under way, the last one's result."""

from dataclasses import dataclass

from cloud_sync.hub.plain import plain
from cloud_sync.hub.retraining.cloud_toml import CloudConfig, ProductSection
from cloud_sync.hub.retraining.gathering import weighed
from cloud_sync.hub.retraining.runs import Run, Runs
from cloud_sync.hub.retraining.triggers import Weighed, said_time


@dataclass(frozen=True, slots=True)
class ProductStatus:
    """How one product stands.

    Args:
        product: its id.
        weighed: what each trigger says.
        under_way: its run that is under way, if any.
        last: its last run that ended, if any.
        now_ms: when this was asked.
    """

    product: str
    weighed: Weighed
    under_way: Run | None
    last: Run | None
    now_ms: int

    def as_json(self) -> dict[str, object]:
        """For --json."""
        return {
            "product": self.product,
            "triggers": [
                {"trigger": word.trigger.value, "asks": word.asks, "why": word.why} for word in self.weighed.words
            ],
            "held": self.weighed.held,
            "under_way": None if self.under_way is None else self._under_way(self.under_way),
            "last": None if self.last is None else _last(self.last),
        }

    def lines(self) -> list[str]:
        """For people."""
        words = "; ".join(word.why for word in self.weighed.words if word.why != "off") or "only by hand"
        lines = [f"{self.product}: {words}" + (f" ({self.weighed.held})" if self.weighed.held else "")]
        if (run := self.under_way) is not None:
            took_s = (self.now_ms - run.step_since_ms) // 1000
            lines.append(f"  run {run.run} since {said_time(run.started_at_ms)} ({run.why}): {run.step} for {took_s} s")
        if (run := self.last) is not None:
            ended = said_time(run.ended_at_ms or 0)
            lines.append(f"  last run {run.run} ({run.why}): {run.result} {ended}, {run.bundle or '-'}: {run.reason}")
        return [plain(line) for line in lines]

    def _under_way(self, run: Run) -> dict[str, object]:
        return {
            "run": run.run,
            "trigger": run.trigger,
            "why": run.why,
            "started_at_ms": run.started_at_ms,
            "step": run.step,
            "step_s": (self.now_ms - run.step_since_ms) / 1000,
            "worker": run.worker,
        }


def product_statuses(config: CloudConfig, now_ms: int) -> list[ProductStatus]:
    """How each product of cloud.toml stands. Raises StoreError."""
    with Runs(config.cloud.store, create=False) as runs:
        return [_status(runs, product, now_ms) for product in config.product]


def _status(runs: Runs, product: ProductSection, now_ms: int) -> ProductStatus:
    past = runs.of(product.id)
    under_way = next((run for run in past if run.result is None), None)
    last = next((run for run in past if run.result is not None), None)
    return ProductStatus(product.id, weighed(runs, product, now_ms), under_way, last, now_ms)


def _last(run: Run) -> dict[str, object]:
    return {
        "run": run.run,
        "trigger": run.trigger,
        "why": run.why,
        "result": run.result,
        "reason": run.reason,
        "bundle": run.bundle,
        "release": run.release,
        "rollout": run.rollout,
        "started_at_ms": run.started_at_ms,
        "ended_at_ms": run.ended_at_ms,
        "proof": run.proof,
        "report_sha256": run.report_sha256,
    }
