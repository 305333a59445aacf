"""A station as `edge run` runs it, with a shadow that signals begin and end.

`python shadowed_station.py CONFIG PRODUCT BUNDLE`: SIGUSR1 begins a shadow of the bundle's folder, SIGUSR2 ends it; its
figures are written to `figures.json` beside CONFIG each 50 ms.
"""

import json
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from edge.config import load_config
from edge.daemon import Daemon
from edge.logs import configure_logs
from models.bundle import open_bundle


def main(config: Path, product: str, folder: Path) -> None:
    """Run until SIGTERM."""
    configure_logs(as_json=True)
    running = Daemon(load_config(config))
    desk, asked = running._station.shadow, threading.Event()  # noqa: SLF001
    wanted = [False]

    def want(number: int, _frame: object) -> None:
        wanted[0] = number == signal.SIGUSR1
        asked.set()

    def obey() -> None:
        path = config.with_name("figures.json")
        while True:
            if asked.wait(0.05):
                asked.clear()
                if wanted[0]:
                    desk.begin(product, open_bundle(folder))
                else:
                    desk.end(product)
            path.with_suffix(".part").write_text(json.dumps(asdict(desk.figures(product))))
            path.with_suffix(".part").replace(path)

    signal.signal(signal.SIGUSR1, want)
    signal.signal(signal.SIGUSR2, want)
    signal.signal(signal.SIGTERM, lambda *_: running.request_stop())
    threading.Thread(target=obey, daemon=True).start()
    running.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
