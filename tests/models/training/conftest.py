from pathlib import Path

import pytest
from pictures_kit import painted_dataset
from taught_kit import Taught

from models.calibration_frames import calibration_frames
from models.dataset.records import Dataset
from models.evaluation.exam import exam_of
from models.export import export_detector
from models.ladder import Ladder
from models.networks.detector import DetectorShape
from models.progress import SilentProgress
from models.training.pictures import Gallery
from models.training.settings import Settings
from models.training.threads import StepSettings
from models.training.train import Means, train_detector


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return painted_dataset(tmp_path_factory.mktemp("painted"), count=12)


@pytest.fixture(scope="session")
def painted_pairs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return painted_dataset(tmp_path_factory.mktemp("pairs"), count=12, reference=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    folder = tmp_path_factory.mktemp("taught")
    train = painted_dataset(folder / "train", 60)
    val, test = (painted_dataset(folder / name, 40, seed=seed) for name, seed in (("val", 7), ("test", 9)))
    settings = Settings(DetectorShape(2, colour=False, reference=False, stem_stride=2), 96, 96, 96, 6, 10, 2e-3)
    gallery = Gallery(train, colour=False, reference=False)
    means = Means(folder / "run", SilentProgress(), lambda _: (StepSettings(1, bf16=False), 0.0))
    trained = train_detector(gallery, settings, means)
    graph = export_detector(trained.network, settings.shape, settings.spec, 0.5)
    spec = settings.model_spec(train.classes)
    exams = (exam_of(part, compares=False) for part in (val, test))
    ladder = Ladder(spec, calibration_frames(train, spec, 0)[:20], *exams, SilentProgress(), threads=1)
    return Taught(trained, gallery, graph, ladder)
