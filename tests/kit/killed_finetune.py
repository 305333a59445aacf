"""A small finetune run that ends itself with SIGKILL, as a power cut would: `killed_finetune.py DATA FOLDER STEP`."""

import sys
from pathlib import Path

import numpy as np
from killed_run import Killed, one_thread

from models.classifier.probe import STAGES
from models.dataset.image_level import image_level, labels_of
from models.dataset.reading import read_dataset
from models.networks.finetuned import ClassNetwork, Start
from models.networks.weights import read_weights
from models.progress import Progress
from models.spec import InputSpec
from models.training.finetune.lesson import Classification, ClassSettings
from models.training.finetune.views import Views
from models.training.pictures import Gallery
from models.training.train import Learned, Means, train

SPEC = InputSpec("image", 64, 64)
SETTINGS = ClassSettings(2, Views(SPEC), batch=4, epochs=2)


def random_start(seed: int = 0) -> Start:
    """A head that knows nothing yet."""
    random = np.random.default_rng(seed)
    count = ClassNetwork(2, STAGES, 2).mean.shape[0]
    weights = random.normal(0, 0.02, (2, count)).astype(np.float32)
    spread = random.uniform(0.5, 1.5, count).astype(np.float32)
    return Start(weights, np.zeros(2, np.float32), random.normal(size=count).astype(np.float32), spread)


def lesson_of(data: Path, settings: ClassSettings = SETTINGS) -> Classification:
    dataset = image_level(read_dataset(data))
    gallery = Gallery(dataset, colour=True, reference=False)
    return Classification(gallery, labels_of(dataset), settings, read_weights(), random_start())


def run(data: Path, folder: Path, progress: Progress, settings: ClassSettings = SETTINGS) -> Learned:
    lesson = lesson_of(data, settings)
    return train(lambda _: lesson, settings.epochs, Means(folder, progress, one_thread, save_every_s=0.0))


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), Killed(int(sys.argv[3])))
