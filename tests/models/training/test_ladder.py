"""From a trained network to a proven bundle: export, the ladder of precisions, the gate, and what it must refuse."""

import copy
import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from taught_kit import Taught
from torch import nn

from models.bundle import open_bundle
from models.compile import compile_bundle, compile_graph
from models.dataset.records import Dataset
from models.detecting import detect_images
from models.detections import Detections
from models.errors import ModelError
from models.evaluation.result import evaluate
from models.export import export_detector, raw_score, with_threshold
from models.gate import Outcome
from models.ladder import Choice, Ladder, Step
from models.manifest import DetectorThreshold
from models.packaging import Detector, Origin, name_of, page_facts, telling_frames, write_detector
from models.progress import SilentProgress
from models.quantize import DETECTOR_FLOAT, quantize
from models.selftest import check_selftest
from models.spec import Precision
from models.training import job
from models.training.parity import check_parity
from models.training.pictures import Gallery
from models.training.qat import train_quantized
from models.training.threads import StepSettings
from models.training.train import Means, Trained
from models.verify import verify_graph

pytestmark = pytest.mark.long

DATE = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_small_detector_has_learned_what_the_other_tests_rest_on(taught: Taught) -> None:
    assert taught.ladder.metric(taught.ladder.test, compile_graph(taught.graph, Precision.FP32)) > 0.8


def test_the_exported_graph_says_on_every_frame_what_torch_says(taught: Taught) -> None:
    parity = check_parity(taught.trained, taught.graph, taught.ladder.test, SilentProgress())
    assert parity.images == 40
    assert parity.findings > 40
    assert parity.largest < 1e-3


def test_an_export_that_answers_otherwise_is_refused(taught: Taught) -> None:
    with pytest.raises(ModelError, match="differ from torch's by"):
        check_parity(taught.trained, damaged(taught.graph, 0.9), taught.ladder.test, SilentProgress())


def test_a_threshold_moves_scores_and_nothing_else(taught: Taught) -> None:
    before, after = (
        taught.ladder.test.sit(compile_graph(graph, Precision.FP32), taught.ladder.spec)
        for graph in (taught.graph, with_threshold(taught.graph, 0.3))
    )
    for first, second in zip(before, after, strict=True):
        assert np.array_equal(first.boxes_xyxy, second.boxes_xyxy)
        assert np.all(second.scores >= first.scores)
    best = max(float(found.scores.max()) for found in after if len(found))
    assert raw_score(best, 0.3) == pytest.approx(
        max(float(found.scores.max()) for found in before if len(found)), abs=1e-4
    )


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0])
def test_a_threshold_outside_its_range_is_refused(taught: Taught, threshold: float) -> None:
    with pytest.raises(ModelError, match="between 0 and 1"):
        with_threshold(taught.graph, threshold)


def test_a_broken_weight_is_an_error_and_no_empty_answer(taught: Taught) -> None:
    """Suppression drops NaN without a word: what is left would read as `looked, and saw nothing`."""
    broken = taught.graph.clone()
    bias = next(
        node
        for node in broken.get_ops()
        if node.get_type_name() == "Constant" and node.get_output_size() and node.get_output_shape(0) == [1, 2, 1, 1]
    )
    nan = ov.opset13.constant(np.full((1, 2, 1, 1), np.nan, np.float32))
    for target in bias.output(0).get_target_inputs():
        target.replace_source_output(nan.output(0))
    with pytest.raises(ModelError, match="not finite"):
        detect_images(compile_graph(broken, Precision.FP32), taught.ladder.test.images[:1], taught.ladder.spec)


def test_the_first_step_that_passes_runs_and_its_convolutions_are_int8(taught: Taught) -> None:
    choice = taught.ladder.climb(taught.graph)
    assert [trial.step for trial in choice.trials[:2]] == [Step.FP32, Step.PTQ]
    assert choice.chosen.gate is not None
    assert choice.chosen.gate.outcome is Outcome.NOT_PROVEN
    assert "40 images" in choice.chosen.gate.reason
    if choice.chosen.precision is Precision.INT8:
        assert verify_graph(compile_graph(choice.chosen.graph, Precision.INT8)).int8_share > 0.8


@pytest.fixture(scope="module")
def whole_int8(taught: Taught) -> ov.Model:
    return quantize(taught.graph, taught.ladder.frames, DETECTOR_FLOAT)


def test_a_damaged_int8_model_fails_the_gate_and_a_float_one_runs(taught: Taught, whole_int8: ov.Model) -> None:
    def damage(_: Ladder, __: ov.Model) -> ov.Model:
        return damaged(whole_int8, 0.5)

    ladder = dataclasses.replace(
        taught.ladder, quantizers={Step.PTQ: damage, Step.ACCURACY_AWARE: damage, Step.QAT: damage}
    )
    choice = ladder.climb(taught.graph)
    assert [trial.step for trial in choice.trials[:3]] == [Step.FP32, Step.PTQ, Step.ACCURACY_AWARE]
    for trial in choice.trials[1:3]:
        assert trial.gate is not None
        assert trial.gate.outcome is Outcome.FAILED
    assert choice.chosen.precision in {Precision.BF16, Precision.FP32}


def check_refused(choice: Choice, why: str) -> None:
    """INT8 is refused for what it does at the threshold; by the order of its scores it would have passed."""
    gate = choice.trials[1].gate
    assert gate is not None
    assert gate.drop.value < 0.02
    assert gate.outcome is Outcome.FAILED
    assert why in gate.reason
    assert choice.chosen.precision is not Precision.INT8


def test_an_int8_model_whose_scores_sank_fails_though_their_order_is_the_same(
    taught: Taught, whole_int8: ov.Model
) -> None:
    """The metric ranks; a line has a threshold. Nothing would be found at it any more."""

    def sunk(_: Ladder, __: ov.Model) -> ov.Model:
        return with_threshold(whole_int8, 0.95)

    choice = dataclasses.replace(taught.ladder, quantizers=dict.fromkeys(taught.ladder.quantizers, sunk)).climb(
        taught.graph
    )
    check_refused(choice, "defective images lost")


def test_an_int8_model_that_sees_defects_everywhere_fails_though_their_order_is_the_same(
    taught: Taught, whole_int8: ov.Model
) -> None:
    """No good image is needed to see it: what is found where nothing is labelled counts."""

    def risen(_: Ladder, __: ov.Model) -> ov.Model:
        return with_threshold(whole_int8, 0.03)

    defective = [index for index, bad in enumerate(taught.ladder.test.defective) if bad]
    ladder = dataclasses.replace(
        taught.ladder,
        test=taught.ladder.test.part(defective),
        quantizers=dict.fromkeys(taught.ladder.quantizers, risen),
    )
    choice = ladder.climb(taught.graph)
    check_refused(choice, "without a false detection lost")


def test_a_graph_from_quantization_aware_training_has_the_threshold_and_a_folder_of_its_run(
    taught: Taught, painted: Dataset, tmp_path: Path
) -> None:
    folders: list[Path] = []

    def trained_on(trained: Trained, _: Gallery, means: Means) -> nn.Module:
        folders.append(means.folder)
        return trained.network

    exams = taught.ladder.val, taught.ladder.test
    tuning = job.Tuning(taught.gallery, tmp_path, 0.2, trained_on)
    longer = dataclasses.replace(taught.trained, settings=dataclasses.replace(taught.trained.settings, epochs=99))
    for trained in (taught.trained, longer):
        ladder = job.ladder_of(trained, painted, exams, tuning, SilentProgress())
        assert ladder.train_quantized is not None
        made = ladder.train_quantized()
        expected = with_threshold(taught.graph, 0.2)
        mine, theirs = (
            ladder.test.sit(compile_graph(graph, Precision.FP32), ladder.spec) for graph in (made, expected)
        )
        for one, other in zip(mine, theirs, strict=True):
            assert np.allclose(one.scores, other.scores, atol=1e-4)
    other = copy.deepcopy(taught.trained.network)
    with torch.no_grad():
        next(other.parameters()).add_(1e-3)
    again = dataclasses.replace(taught.trained, network=other)
    ladder = job.ladder_of(again, painted, exams, tuning, SilentProgress())
    assert ladder.train_quantized is not None
    ladder.train_quantized()
    assert len(set(folders)) == 3, "a run goes on with its own weights' checkpoint only"


def test_an_export_that_names_other_classes_is_refused(taught: Taught) -> None:
    swapped = taught.graph.clone()
    ids = next(result for result in swapped.outputs if "class_ids" in result.get_names())
    source = ids.get_node().input_value(0)
    other = ov.opset13.subtract(ov.opset13.constant(np.int32(1)), source)
    ids.get_node().input(0).replace_source_output(other.output(0))
    swapped.validate_nodes_and_infer_types()
    with pytest.raises(ModelError, match="differ from torch's by"):
        check_parity(taught.trained, swapped, taught.ladder.test, SilentProgress())


def test_frames_that_could_not_be_looked_at_are_no_self_test(taught: Taught) -> None:
    exam = taught.ladder.test
    found = exam.sit(compile_graph(taught.graph, Precision.FP32), taught.ladder.spec)
    blind = [index for index, truth in enumerate(exam.truths) if not len(truth)]
    chosen = telling_frames(
        evaluate(exam, [Detections.none() if i in blind else f for i, f in enumerate(found)], blind)
    )
    assert chosen
    assert not set(chosen) & set(blind)
    with pytest.raises(ModelError, match="not one held-out frame fits"):
        telling_frames(evaluate(exam, found, range(len(exam))))


def test_accuracy_aware_quantization_keeps_the_budget_on_the_frames_it_chooses_by(taught: Taught) -> None:
    ladder = dataclasses.replace(taught.ladder, val=taught.ladder.val.part(list(range(12))))
    made = ladder.quantizers[Step.ACCURACY_AWARE](ladder, taught.graph)
    before, after = (
        ladder.metric(ladder.val, compile_graph(graph, precision))
        for graph, precision in ((taught.graph, Precision.FP32), (made, Precision.INT8))
    )
    assert after >= before - ladder.budget
    assert verify_graph(compile_graph(made, Precision.INT8)).int8 > 0


def test_quantization_aware_training_gives_a_graph_that_runs_in_int8(taught: Taught, tmp_path: Path) -> None:
    means = Means(tmp_path, SilentProgress(), lambda _: (StepSettings(1, bf16=False), 0.0))
    settings = taught.trained.settings
    network = train_quantized(taught.trained, taught.gallery, means)
    made = export_detector(network, settings.shape, settings.spec, 0.5)
    assert verify_graph(compile_graph(made, Precision.INT8)).int8_share > 0.8
    assert taught.ladder.metric(taught.ladder.test, compile_graph(made, Precision.INT8)) > 0.7


def damaged(graph: ov.Model, share: float) -> ov.Model:
    """A copy in which a share of the large kernels' weights is turned around."""
    copy = graph.clone()
    for node in [node for node in copy.get_ops() if node.get_type_name() == "Constant" and big(node)]:
        values = np.array(node.data)
        chosen = np.random.default_rng(0).random(values.shape) < share
        values[chosen] = -values[chosen]
        fresh = ov.opset13.constant(values)
        for target in node.output(0).get_target_inputs():
            target.replace_source_output(fresh.output(0))
    copy.validate_nodes_and_infer_types()
    return copy


def big(node: ov.Node) -> bool:
    shape = node.get_output_shape(0)
    return len(shape) == 4 and int(np.prod(shape)) > 20_000


@pytest.fixture(scope="module")
def bundle_path(taught: Taught, tmp_path_factory: pytest.TempPathFactory) -> Path:
    choice = taught.ladder.climb(taught.graph)
    judged = {trial.step: evaluate(taught.ladder.test, trial.found) for trial in choice.trials}
    detector = Detector(taught.ladder.spec, choice, judged)
    target = tmp_path_factory.mktemp("bundles") / "painted" / "v3"
    name, version = name_of(target)
    origin = Origin(name, version, "0" * 64, DATE, DetectorThreshold(raw_score=0.5, chosen_by="a test"))
    return write_detector(target, detector, origin, page_facts(detector, origin, [])).path


def test_a_bundle_says_all_that_was_proven_and_passes_its_own_self_test(bundle_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    assert (bundle.model_id.id, bundle.model_id.version) == ("painted", 3)
    assert bundle.manifest.gate.outcome == "not proven"
    assert bundle.manifest.gate.metric == "map50"
    assert set(bundle.manifest.metrics) >= {"fp32"}
    assert len(bundle.selftest) == 3
    assert any(case.findings for case in bundle.selftest)
    check_selftest(bundle, compile_bundle(bundle))


def test_a_self_test_that_another_graph_answers_is_refused(bundle_path: Path, taught: Taught) -> None:
    bundle = open_bundle(bundle_path)
    with pytest.raises(ModelError, match="self-test frame"):
        check_selftest(bundle, compile_graph(damaged(taught.graph, 0.9), Precision.FP32))
