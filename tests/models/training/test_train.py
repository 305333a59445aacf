"""The run: it learns, survives a kill at any step, and is the same again for the same seed."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import killed_run
import pytest
import torch
from killed_run import SETTINGS, SHAPE, one_thread

from models.dataset.records import Dataset
from models.errors import ModelError
from models.progress import SilentProgress
from models.spec import Tiling
from models.training.checkpoint import NAME, load
from models.training.pictures import Gallery, epoch_batches, is_grey, misfits
from models.training.settings import Settings, propose
from models.training.threads import (
    StepSettings,
    ThreadTable,
    Trial,
    candidates,
    choose,
    choose_by_measuring,
    measure_steps,
)
from models.training.train import Means, Trained, train_detector

pytestmark = pytest.mark.long


def run(painted: Dataset, folder: Path, settings: Settings = SETTINGS) -> Trained:
    gallery = Gallery(painted, colour=False, reference=settings.shape.reference)
    return train_detector(gallery, settings, Means(folder, SilentProgress(), one_thread))


def weights(trained: Trained) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in trained.network.state_dict().values()])


def untimed(trained: Trained) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in trained.history]


@pytest.fixture(scope="module")
def whole(painted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return run(painted, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("at", [2, 3, 4, 5, 8, 9])
def test_a_killed_run_goes_on_and_ends_with_the_very_same_weights(
    painted: Dataset, whole: Trained, tmp_path: Path, at: int
) -> None:
    words = [sys.executable, killed_run.__file__, str(painted.root), str(tmp_path / "cut"), str(at)]
    child = subprocess.run(words, timeout=120, check=False, capture_output=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    (checkpoint,) = (tmp_path / "cut").rglob(NAME)
    (checkpoint.parent / f".{NAME}.new").write_bytes(b"half of the next one")
    reached = load(checkpoint.parent, SETTINGS.digest)
    assert reached is not None
    assert reached.step == at
    resumed = run(painted, tmp_path / "cut")
    assert torch.equal(weights(resumed), weights(whole))
    assert untimed(resumed) == untimed(whole)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    painted: Dataset, whole: Trained, tmp_path: Path
) -> None:
    assert torch.equal(weights(whole), weights(run(painted, tmp_path / "again")))
    other = run(painted, tmp_path / "other", replace(SETTINGS, seed=1))
    assert not torch.equal(weights(whole), weights(other))


def test_the_loss_falls_and_the_history_says_so(painted_pairs: Dataset, tmp_path: Path) -> None:
    settings = replace(SETTINGS, shape=replace(SHAPE, reference=True), epochs=12)
    history = run(painted_pairs, tmp_path, settings).history
    assert len(history) == 12
    assert history[-1]["loss"] < 0.75 * history[0]["loss"]


def test_a_finished_run_is_not_run_again(painted: Dataset, tmp_path: Path) -> None:
    first = run(painted, tmp_path)
    again = run(painted, tmp_path)
    assert again.seconds == first.seconds
    assert torch.equal(weights(first), weights(again))


def test_after_a_training_numbers_near_zero_count_again(painted: Dataset, tmp_path: Path) -> None:
    run(painted, tmp_path)
    assert float(torch.tensor([1e-40]) * 1) > 0


def test_minutes_cut_the_epochs_and_the_plan_is_kept(painted: Dataset, tmp_path: Path) -> None:
    gallery = Gallery(painted, colour=False, reference=False)

    def slow(step: object) -> tuple[StepSettings, float]:
        del step
        return StepSettings(1, bf16=False), 10.0

    trained = train_detector(gallery, SETTINGS, Means(tmp_path, SilentProgress(), slow, minutes=1.0))
    assert trained.plan.epochs == 2
    (plan,) = tmp_path.glob("plan-*.json")
    assert json.loads(plan.read_text())["epochs"] == 2


@pytest.mark.parametrize("content", ["", "{", '{"epochs": 2}'])
def test_a_plan_that_cannot_be_read_is_made_again(painted: Dataset, tmp_path: Path, content: str) -> None:
    first = run(painted, tmp_path)
    (plan,) = tmp_path.glob("plan-*.json")
    plan.write_text(content)
    assert torch.equal(weights(run(painted, tmp_path)), weights(first))
    assert json.loads(plan.read_text())["epochs"] == SETTINGS.epochs


def test_references_that_do_not_fit_are_all_named_before_training(painted_pairs: Dataset) -> None:
    first, second, *others = painted_pairs.images
    wrong = replace(first, reference=second.reference), replace(second, reference=first.reference)
    dataset = Dataset(painted_pairs.root, "coco", painted_pairs.classes, (*wrong, *others))
    looked: list[None] = []
    found = misfits(Gallery(dataset, colour=False, reference=True), lambda: looked.append(None))
    assert [line.split(":")[0] for line in found] == [first.name, second.name]
    assert len(looked) == len(dataset)


def test_a_damaged_checkpoint_is_refused_and_named(painted: Dataset, tmp_path: Path) -> None:
    run(painted, tmp_path)
    (checkpoint,) = tmp_path.rglob(NAME)
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"checkpoint.pt cannot be read"):
        run(painted, tmp_path)


def test_another_runs_checkpoint_is_refused(painted: Dataset, tmp_path: Path) -> None:
    run(painted, tmp_path)
    (checkpoint,) = tmp_path.rglob(NAME)
    with pytest.raises(ModelError, match="belongs to another run"):
        load(checkpoint.parent, "0" * 64)


def test_an_image_that_vanished_is_named(painted: Dataset, tmp_path: Path) -> None:
    gone = replace(painted.images[0], path=tmp_path / "gone.png")
    dataset = Dataset(painted.root, "coco", painted.classes, (gone, *painted.images[1:]))
    with pytest.raises(ModelError, match=r"gone.png is no readable image any more"):
        run(dataset, tmp_path / "run")


def test_settings_follow_the_images(painted: Dataset) -> None:
    settings = propose(painted, colour=False, reference=False)
    assert (settings.height, settings.width, settings.shape.stem_stride) == (320, 320, 4)
    assert settings.scale_of(96, 96) == pytest.approx(320 / 96)
    assert settings.tiling is None
    small = propose(painted, colour=False, reference=False, size_px=96)
    assert (small.height, small.shape.stem_stride, small.scale_of(96, 96)) == (96, 2, 1.0)


def test_grey_pictures_are_told_from_coloured_ones(painted: Dataset) -> None:
    assert is_grey(painted)


def test_one_coloured_pixel_makes_a_coloured_model(painted: Dataset, tmp_path: Path) -> None:
    """A stain that only red shows would be invisible to a model of one channel."""
    pixels = cv2.imread(str(painted.images[-1].path))
    pixels[5, 5, 2] ^= 255
    stained = replace(painted.images[-1], path=tmp_path / "stained.png")
    cv2.imwrite(str(stained.path), pixels)
    assert not is_grey(Dataset(painted.root, "coco", painted.classes, (*painted.images[:-1], stained)))


def test_every_image_is_learned_at_the_scale_it_is_inspected_at() -> None:
    settings = replace(SETTINGS, height=96, width=96)
    assert settings.scale_of(96, 96) == 1.0
    assert settings.scale_of(32, 24) == 3.0
    assert settings.scale_of(960, 480) == pytest.approx(0.1)
    cut = replace(settings, tiling=Tiling(96, 32))
    assert cut.scale_of(960, 480) == 1.0
    assert cut.scale_of(48, 480) == 1.0
    assert cut.scale_of(48, 24) == 2.0


def test_every_setting_is_timed_in_every_round_and_the_thread_count_comes_back() -> None:
    before, seen = torch.get_num_threads(), []
    settings = candidates(4, bf16=True)
    table = measure_steps(lambda bf16: seen.append((torch.get_num_threads(), bf16)), settings, rounds=3)
    assert torch.get_num_threads() == before
    assert {len(times) for times in table.seconds.values()} == {3}
    assert set(seen) == {(1, False), (1, True), (2, False), (2, True), (4, False), (4, True)}


def test_measuring_ends_when_its_time_is_spent() -> None:
    table = measure_steps(lambda _: None, candidates(1, bf16=False), limit_s=0.0, rounds=50)
    assert len(table.seconds[StepSettings(1, bf16=False)]) == 2


def test_pictures_are_the_same_made_ahead_or_in_between(painted: Dataset) -> None:
    gallery = Gallery(painted, colour=False, reference=False)
    feeding = replace(SETTINGS, mosaic=0.5).feeding(0.5)
    both = (epoch_batches(gallery, feeding, 1, 1, ahead=ahead) for ahead in (False, True))
    pairs = list(zip(*both, strict=True))
    assert len(pairs) == 2
    assert all(torch.equal(one.pixels, other.pixels) for one, other in pairs)


class Paced:
    """A trial that answers as a machine would on which pictures made ahead cost this much more or less."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead_s = ahead_s

    def step(self, bf16: bool) -> None:  # noqa: FBT001 - the trial's own signature
        del bf16

    def pace_s(self, how: StepSettings) -> float:
        return self._ahead_s if how.ahead else 0.3


@pytest.mark.parametrize(("ahead_s", "ahead"), [(0.4, False), (0.2, True)])
def test_pictures_are_made_ahead_only_where_that_is_faster(ahead_s: float, ahead: bool) -> None:  # noqa: FBT001
    chosen, step_s = choose_by_measuring(Paced(ahead_s))
    assert chosen.ahead is ahead
    assert step_s == pytest.approx(min(ahead_s, 0.3))


def test_the_real_step_is_measured_with_its_pictures_and_nothing_is_learned_by_it(
    painted: Dataset, whole: Trained, tmp_path: Path
) -> None:
    gallery = Gallery(painted, colour=False, reference=False)

    def measuring(trial: Trial) -> tuple[StepSettings, float]:
        trial.step(True)
        how = StepSettings(1, bf16=False)
        return how, sum(trial.pace_s(replace(how, ahead=ahead)) for ahead in (True, False))

    measured = train_detector(gallery, SETTINGS, Means(tmp_path, SilentProgress(), measuring))
    assert measured.plan.step_s > 0
    assert torch.equal(weights(measured), weights(whole))


TABLES = [
    pytest.param({(1, False): 9.0, (2, False): 5.0, (2, True): 3.0}, (2, True), id="fastest"),
    pytest.param({(1, False): 5.1, (2, False): 5.0}, (1, False), id="near tie: fewer threads"),
    pytest.param({(2, False): 5.0, (2, True): 4.95}, (2, False), id="near tie: no BF16"),
    pytest.param({(1, False): 5.0, (48, False): 90.0}, (1, False), id="oversubscribed"),
]


@pytest.mark.parametrize(("seconds", "expected"), TABLES)
def test_the_choice(seconds: dict[tuple[int, bool], float], expected: tuple[int, bool]) -> None:
    table = ThreadTable({StepSettings(*key): [value] * 3 for key, value in seconds.items()})
    assert choose(table) == StepSettings(*expected)
