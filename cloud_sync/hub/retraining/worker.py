"""One worker of a cloud: begins what triggers, carries on what is under way, takes over from the dead, clears up."""

from collections.abc import Callable

from cloud_sync.hub.retraining.chores import Chore
from cloud_sync.hub.retraining.cloud_toml import CloudConfig, ProductSection
from cloud_sync.hub.retraining.errors import RequestRefusedError
from cloud_sync.hub.retraining.gathering import weighed
from cloud_sync.hub.retraining.runs import Result, Run, Runs
from cloud_sync.hub.retraining.work_folder import clean
from cloud_sync.hub.retraining.workers import Workers
from cloud_sync.hub.retraining.workflow import Workflow

Told = Callable[[dict[str, object]], None]


class Worker:
    """Its chores are done by one thread, over and over.

    Args:
        config: what is trained, and when.
        runs: of the store.
        workers: who else works on it.
        workflow: open.
        told: hears of each run as it begins, moves on and ends.
        now_ms: tells the time.
    """

    def __init__(
        self,
        config: CloudConfig,
        runs: Runs,
        workers: Workers,
        workflow: Workflow,
        told: Told,
        now_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._runs = runs
        self._workers = workers
        self._workflow = workflow
        self._told = told
        self._now_ms = now_ms
        self._begun: dict[str, str] = {}  # runs under way, with the step that was told last

    @property
    def chores(self) -> list[Chore]:
        """What is to be done, and how often."""
        beat_s = min(2.0, self._config.cloud.dead_after_s / 5)
        return [
            Chore("saying that it lives", beat_s, self._workers.beat),
            Chore("taking over from the dead", beat_s, self.take_over),
            Chore("the triggers", 60.0, self.weigh),
            Chore("the runs", 1.0, self.carry_on),
        ]

    def weigh(self) -> None:
        """Begin a run of each product for which a trigger fires. Raises StoreError."""
        for product in self._config.product:
            self._weigh(product)

    def carry_on(self) -> None:
        """See to it that each run that is under way is worked on, and say how far it is. Raises StoreError."""
        under_way = {run.run: run for run in self._runs.under_way() if self._is_ours(run)}
        for run in under_way.values():
            if over := self._workflow.begin(run.run):
                self._runs.end(run.run, Result.FAILED, over, self._now_ms())
            elif run.run not in self._begun:
                self._told(_event("begun", run) | {"trigger": run.trigger, "why": run.why})
            elif self._begun[run.run] != run.step:
                self._told(_event("step", run) | {"step": run.step})
        ended = [run for run in self._begun if run not in under_way]
        self._begun = {name: run.step for name, run in under_way.items()}
        for name in ended:
            self._ended(self._runs.find(name))

    def take_over(self) -> None:
        """Take over what other workers left. Raises StoreError."""
        for worker in self._workers.dead():
            self._workflow.take_over(worker)
            self._workers.bury(worker)

    def _weigh(self, product: ProductSection) -> None:
        found = weighed(self._runs, product, self._now_ms())
        if found.fires is None:
            return
        try:
            self._runs.open(product.id, found.fires.trigger, found.fires.why, self._now_ms())
        except RequestRefusedError:  # another worker was quicker
            return

    def _ended(self, run: Run) -> None:
        self._told(_event("ended", run) | {"result": run.result, "reason": run.reason, "release": run.release})
        under_way = [other.run for other in self._runs.under_way()]
        past = [past for product in self._config.product for past in self._runs.of(product.id)]
        newest = [past.run for past in sorted(past, key=lambda past: past.started_at_ms, reverse=True)]
        clean(self._config.cloud.folder, under_way, newest, self._config.cloud.keep_runs)

    def _is_ours(self, run: Run) -> bool:
        """A run of a product that cloud.toml names no more is left for who knows it."""
        return any(product.id == run.product for product in self._config.product)


def _event(name: str, run: Run) -> dict[str, object]:
    return {"event": name, "product": run.product, "run": run.run}
