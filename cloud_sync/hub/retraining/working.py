"""`cloud work` as a process: what triggers, the runs, the rollouts, what must be signed anew; signals, its end."""

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import metadata

from cloud_sync.hub.retraining.chores import Chore, Chores
from cloud_sync.hub.retraining.cloud_toml import CloudConfig
from cloud_sync.hub.retraining.errors import CloudConfigError
from cloud_sync.hub.retraining.production import Production, trust_keys
from cloud_sync.hub.retraining.runs import Runs
from cloud_sync.hub.retraining.steps import Steps
from cloud_sync.hub.retraining.worker import Told, Worker
from cloud_sync.hub.retraining.worker_id import worker_of
from cloud_sync.hub.retraining.workers import Workers
from cloud_sync.hub.retraining.workflow import Workflow
from cloud_sync.hub.rollout.runner import RolloutRunner
from cloud_sync.hub.trust.publishing import renew
from cloud_sync.wire.endpoint import Endpoint
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits, Message
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings
from cloud_sync.wire.supervisor import Feed, Supervisor, status_word

_ROUND_S = 0.2
_STOP_LINK_S = 2.0


MakeSteps = Callable[[CloudConfig, Runs], Steps]


def work_until_signal(config: CloudConfig, made: "MakeSteps | None" = None, *, as_json: bool) -> None:
    """Work until SIGTERM or SIGINT; what is under way then goes on at the next start.

    Args:
        config: where everything lies, and what is trained when.
        made: the steps of a run; left out: the field's.
        as_json: say events as JSON on stdout, else as text on stderr.

    Raises:
        CloudConfigError: the broker is none.
        RequestRefusedError: another worker works in the same folder.
        StoreError, BlobError, LinkError: there is no store, no place for files, no key.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with working(config, lambda event: _say(event, as_json=as_json), made or field_steps) as chores:
        supervisor = Supervisor.of(os.environ)
        feed = Feed(supervisor)
        supervisor.tell("READY=1", status_word("working"))
        _say({"event": "ready"}, as_json=as_json)
        while not stop.wait(_ROUND_S):
            chores.round(time.monotonic())
            feed.feed()
        supervisor.tell("STOPPING=1")
    _say({"event": "stopped"}, as_json=as_json)


def field_steps(config: CloudConfig, runs: Runs) -> Steps:
    """As everything is done in the field. Raises BlobError."""
    return Production(config, runs).steps


@contextlib.contextmanager
def working(config: CloudConfig, told: Told, made: MakeSteps = field_steps) -> Iterator[Chores]:
    """Everything that works, open; the chores are to be done by the caller, over and over."""
    place = config.cloud.store
    with ExitStack() as opened:
        worker_id = opened.enter_context(worker_of(config.cloud.folder))
        link = opened.enter_context(_linked(config))
        runs = opened.enter_context(Runs(place))
        workers = Workers(runs.engine, worker_id, metadata.version("inspectd"), config.cloud.dead_after_s)
        workers.beat()
        opened.callback(workers.leave)  # after the workflow's end: what is still being done is no other's yet
        workflow = opened.enter_context(Workflow(place, runs, made(config, runs), worker_id, now_ms))
        worker = Worker(config, runs, workers, workflow, told, now_ms)
        runner = opened.enter_context(contextlib.closing(RolloutRunner(place, link)))
        yield Chores([*worker.chores, Chore("rollouts", 1.0, lambda: runner.step(now_ms())), _renewal(config)])


def now_ms() -> int:
    """The time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _renewal(config: CloudConfig) -> Chore:
    """Timestamp and snapshot never expire while we work; where no keys were made there is nothing to sign."""
    keys = trust_keys(config)

    def sign() -> None:
        if keys.ids("timestamp"):
            renew(config.cloud.store, keys)

    return Chore("signing anew", 60.0, sign)


@contextlib.contextmanager
def _linked(config: CloudConfig) -> Iterator[MqttLink]:
    try:
        at = Endpoint.parse(config.cloud.broker, config.cloud.identity)
    except LinkError as error:
        raise CloudConfigError(f"cloud.broker: {error}") from error
    link = MqttLink(MqttSettings(at.address, f"inspectd-work-{uuid.uuid4().hex[:8]}", identity=at.identity))
    link.start(_Silent())
    try:
        yield link
    finally:
        link.stop(_STOP_LINK_S)


class _Silent:
    """Nothing comes by a link that only publishes; what it publishes is retained, and published again until taken."""

    def on_connected(self, limits: Limits) -> None:
        """Nothing to do."""

    def on_disconnected(self, why: str) -> None:
        """The link goes on trying."""

    def on_message(self, message: Message) -> None:
        """Nothing was subscribed to."""

    def on_answer(self, refusal: str | None) -> None:
        """Jobs are published until their stations say that they have them."""


def _say(event: dict[str, object], *, as_json: bool) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads any more
        if as_json:
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()
        else:
            sys.stderr.write("cloud work: " + ", ".join(f"{name} {value}" for name, value in event.items()) + "\n")
