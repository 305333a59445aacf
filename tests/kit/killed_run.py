"""A small training run that ends itself with SIGKILL, as a power cut would: `killed_run.py PICTURES FOLDER STEP`."""

import os
import signal
import sys
from pathlib import Path

from pictures_kit import painted_dataset

from models.networks.detector import DetectorShape
from models.progress import SilentProgress
from models.training.pictures import Gallery
from models.training.settings import Settings
from models.training.threads import StepSettings
from models.training.train import Means, train_detector

SHAPE = DetectorShape(2, colour=False, reference=False, stem_stride=4)
SETTINGS = Settings(SHAPE, 96, 96, 64, 4, 3)


class Killed(SilentProgress):
    """Ends the process when training has made so many steps."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._left = at

    def advance(self, steps: int = 1) -> None:
        if self.stages[-1] == "train":
            self._left -= steps
            if steps and self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def one_thread(step: object) -> tuple[StepSettings, float]:
    del step
    return StepSettings(1, bf16=False), 0.0


def main() -> None:
    gallery = Gallery(painted_dataset(Path(sys.argv[1]), 12), colour=False, reference=False)
    means = Means(Path(sys.argv[2]), Killed(int(sys.argv[3])), one_thread, save_every_s=0.0)
    train_detector(gallery, SETTINGS, means)


if __name__ == "__main__":
    main()
