"""Steps that write down what was done, for runs without data, models or keys."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloud_sync.hub.retraining.runs import Run
from cloud_sync.hub.retraining.steps import Done, Look, Step, Steps
from cloud_sync.hub.trust.publishing import begin
from models.trust.keys import TrustKeys

NAMES = ("snapshot", "champion", "train", "prove", "publish", "roll_out")
WEDNESDAY_MS = 1_790_000_000_000


@dataclass
class WrittenDown:
    """Each step that was done, in its order; a step's own doing can be given by name."""

    own: dict[str, Step] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def steps(self) -> Steps:
        return Steps(**{name: self._step(name) for name in NAMES})

    def _step(self, name: str) -> Step:
        def do(run: Run, look: Look) -> Done:
            made = self.own[name](run, look) if name in self.own else Done({})
            self.done.append(name)
            return made

        return do


TOML = """
[cloud]
store = "{store}"
blobs = "{folder}/blobs"
broker = "mqtt://127.0.0.1:{port}"
folder = "{folder}/{name}"
trust = "{folder}/trust"
passphrase_file = "{folder}/passphrase"
dead_after_s = 2
nice = 0
idle = false

[[product]]
id = "cells"
bundle = "cells"
kind = "classifier"

[product.triggers]
cool_down_h = 0
budget_runs_a_week = 1000
"""


def write_cloud(folder: Path, store: str, port: int = 1, name: str = "work", more: str = "") -> Path:
    """A cloud.toml, with keys made and a passphrase; its file."""
    file = folder / f"{name}.toml"
    file.write_text(TOML.format(store=store, folder=folder, port=port, name=name) + more)
    phrase = folder / "passphrase"
    phrase.write_text("as long as a sentence\n")
    phrase.chmod(0o600)
    begin(store, TrustKeys(folder / "trust", b"as long as a sentence"))
    return file


class WorkerProcess:
    """`cloud work`, with quick programs if not asked otherwise; its stderr lies beside its cloud.toml."""

    def __init__(self, config: Path, environment: Mapping[str, str] | None = None, *, quick: bool = True) -> None:
        self._config = config
        words = [str(Path(__file__).with_name("quick_worker.py")), str(config)]
        self._words = words if quick else ["-m", "cloud_sync.hub.cli", "work", "--config", str(config), "--json"]
        self._environment = environment or {}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        kit = Path(__file__).parent
        environment = {**os.environ, **self._environment, "PYTHONPATH": f"{kit}:{os.environ.get('PYTHONPATH', '')}"}
        with self._config.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._words],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )

    @property
    def lives(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def next_event(self) -> dict[str, object]:
        assert self._process is not None
        assert self._process.stdout is not None
        event: dict[str, object] = json.loads(self._process.stdout.readline())
        return event

    def until(self, event: str) -> dict[str, object]:
        while (found := self.next_event())["event"] != event:
            pass
        return found

    def end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(how)
        code = process.wait(40)
        assert process.stdout is not None
        process.stdout.close()
        return code
