"""The collector for tests: as a process of its own, or in a thread over any link."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloud_sync.hub.collector import Collector
from cloud_sync.hub.desk import Desk
from cloud_sync.hub.store.reading import StoreReader
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.wire.link import Address, Link

CLOUD = (sys.executable, "-m", "cloud_sync.hub.cli")


class CloudProcess:
    """`cloud collect` as it runs in the field; its stderr lies beside the store."""

    def __init__(
        self,
        address: Address | str,
        store: Path | str,
        log: Path | None = None,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = {**os.environ, **(environment or {})}
        self._broker = address if isinstance(address, str) else f"mqtt://{address}"
        self._store = store
        self._log = log or Path(f"{store}.log")
        self._options = options if "://" not in str(store) else ("--blobs", f"{self._log}.blobs", *options)
        self._process: subprocess.Popen[str] | None = None

    def start(self, *, awaited: bool = True) -> None:
        command = [*CLOUD, "collect", "--broker", self._broker, "--store", str(self._store), "--json"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options], stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment
            )
        if awaited:
            assert self.next_event()["event"] == "ready"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return self._log.read_text()

    def next_event(self) -> dict[str, object]:
        assert self._process is not None
        assert self._process.stdout is not None
        event: dict[str, object] = json.loads(self._process.stdout.readline())
        return event

    def pause(self) -> None:
        """It hangs: what the broker sends it from now on is neither committed nor acknowledged."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        process, self._process = self._process, None
        assert process is not None
        code = process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
        return code

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        os.kill(process.pid, how)
        code = process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
        return code


class CloudThread:
    """A collector in this process; a context manager."""

    def __init__(self, place: Path | str, link: Link, busy_timeout_s: float = 5.0, desks: Sequence[Desk] = ()) -> None:
        self._writer = StoreWriter(str(place), busy_timeout_s)
        self.collector = Collector(self._writer, link, desks)
        self._thread = threading.Thread(target=self.collector.run)

    def __enter__(self) -> Collector:
        self._thread.start()
        return self.collector

    def __exit__(self, *_: object) -> None:
        self.collector.stop()
        self._thread.join(10)
        self._writer.close()
        assert not self._thread.is_alive()


def stored(place: Path | str) -> dict[tuple[str, int], str]:
    """What the store holds: stream and seq to content hash."""
    with StoreReader(str(place)) as reader:
        return {(found.stream, found.seq): found.sha256 for found in reader.records()}
