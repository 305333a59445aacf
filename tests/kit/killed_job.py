"""`cloud train` that ends itself with SIGKILL when quantizing begins: `killed_job.py DATA OUT CACHE EPOCHS SIZE`."""

import os
import signal
import sys
from pathlib import Path

from models.progress import SilentProgress
from models.training.job import TrainingRequest, run_job


class KilledInTheLadder(SilentProgress):
    def stage(self, name: str, total: int) -> None:
        super().stage(name, total)
        if name.startswith("quantize"):
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    data, out, cache = (Path(word) for word in sys.argv[1:4])
    epochs, size = (int(word) for word in sys.argv[4:6])
    run_job(TrainingRequest(data, out, cache, minutes=None, epochs=epochs, size_px=size), KilledInTheLadder())


if __name__ == "__main__":
    main()
