"""A new model takes over only by proof: bad challengers of every sort are refused, with the reason and a page."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from classifier_kit import bright_graph
from detector_kit import make_detector
from promotion_kit import challenger, digest_of, frozen_data
from station_kit import make_bundle
from typer.testing import CliRunner

from cloud_sync.hub.cli import app
from models.dataset.errors import DatasetError
from models.dataset.good_parts import split_good_parts
from models.dataset.learnable import Division
from models.dataset.reading import read_dataset
from models.dataset.snapshot import digest
from models.errors import ModelError, RequestError
from models.manifest import GateRecord
from models.promotion.limits import PromotionLimits
from models.promotion.proof import Proof
from models.promotion.prove import prove
from models.spec import Precision

LIMITS = PromotionLimits(least_bad=20, least_good=30)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return frozen_data(tmp_path_factory.mktemp("data") / "cells")


@pytest.fixture(scope="module")
def learned(data: Path) -> str:
    return digest_of(data)


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An anomaly model that finds every defect, and takes a shade for one."""
    return make_bundle(tmp_path_factory.mktemp("champion"), blindness=0.5).path


def unmet(proof: Proof) -> set[str]:
    return {reason.rule for reason in proof.reasons if not reason.met}


def test_a_better_model_of_another_kind_is_proven_and_the_page_shows_where_they_differ(
    data: Path, learned: str, champion: Path, tmp_path: Path
) -> None:
    proof = prove(challenger(tmp_path, "cells", learned).path, champion, data, LIMITS, tmp_path / "proof.html")
    assert proof.passed, proof.why_not
    found = proof.figures
    assert (found.good, found.bad, found.escapes, found.champion_escapes) == (40, 24, 0, 0)
    assert (found.overkill, found.champion_overkill, found.disagree) == (0, 8, 8)
    assert found.paired_overkill is not None
    assert found.paired_overkill.p_value < 0.05
    page = (tmp_path / "proof.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 8
    assert "Yes: all" in page
    assert 'src="http' not in page


@pytest.mark.parametrize(
    ("graph", "rules"),
    [
        pytest.param(bright_graph(sight=(0, 0)), {"escapes", "escapes do not rise"}, id="always PASS"),
        pytest.param(bright_graph(bias=4), {"overkill", "overkill rises little"}, id="always REJECT"),
        pytest.param(bright_graph(nan_above=126), {"sound"}, id="NaN on most frames"),
        pytest.param(bright_graph(sight=(10, 0)), {"escapes of dark", "escapes do not rise"}, id="one class forgotten"),
    ],
)
def test_a_bad_challenger_is_refused(
    graph: ov.Model, rules: set[str], data: Path, learned: str, champion: Path, tmp_path: Path
) -> None:
    made = challenger(tmp_path, "bad", learned, graph=graph)
    for before in (champion, None):
        proof = prove(made.path, before, data, LIMITS, tmp_path / "proof.html")
        assert not proof.passed
        assert before is None or rules <= unmet(proof)
    assert "No: " in (tmp_path / "proof.html").read_text(encoding="utf-8")


def test_a_damaged_int8_graph_that_says_its_gate_passed_is_refused_by_what_it_does(
    data: Path, learned: str, champion: Path, tmp_path: Path
) -> None:
    damaged = bright_graph(sight=(-10, 10))
    made = challenger(tmp_path, "damaged", learned, graph=damaged, precision=Precision.INT8)
    proof = prove(made.path, champion, data, LIMITS, tmp_path / "proof.html")
    assert "escapes of bright" in unmet(proof)
    assert "INT8 gate" not in unmet(proof)


def test_an_int8_graph_that_its_gate_refused_is_refused(
    data: Path, learned: str, champion: Path, tmp_path: Path
) -> None:
    gate = GateRecord(outcome="failed", reason="AUROC drops by 0.3", images=600)
    made = challenger(tmp_path, "ungated", learned, gate=gate, precision=Precision.INT8)
    proof = prove(made.path, champion, data, LIMITS, tmp_path / "proof.html")
    assert unmet(proof) == {"INT8 gate"}


def test_a_flipped_byte_in_the_weights_is_a_reason_and_no_crash(
    data: Path, learned: str, champion: Path, tmp_path: Path
) -> None:
    made = challenger(tmp_path, "flipped", learned)
    weights = made.path / "model.bin"
    raw = bytearray(weights.read_bytes())
    raw[len(raw) // 2] ^= 1
    weights.write_bytes(bytes(raw))
    proof = prove(made.path, champion, data, LIMITS, tmp_path / "proof.html")
    assert unmet(proof) == {"sound"}
    assert "sha256" in proof.why_not


def test_what_was_trained_on_the_hold_out_is_refused_though_it_makes_no_mistake(
    data: Path, champion: Path, tmp_path: Path
) -> None:
    leaking = frozen_data(tmp_path / "leaking")
    for path in sorted((leaking / "test").rglob("*.png")):
        name = leaking / "train" / path.parent.name / f"leak-{path.name}"
        path.rename(name)
        cv2.imwrite(str(path), np.clip(cv2.imread(str(name)).astype(np.int16) + 1, 0, 255).astype(np.uint8))
    made = challenger(tmp_path, "leaking", digest_of(leaking))
    proof = prove(made.path, champion, data, LIMITS, tmp_path / "proof.html")
    assert unmet(proof) == {"hold-out unseen"}
    assert "not known what" in proof.why_not


def test_a_division_that_dealt_the_hold_out_anew_is_found_out(data: Path, champion: Path, tmp_path: Path) -> None:
    anew = digest(split_good_parts(read_dataset(data), Division()))
    made = make_bundle(tmp_path, "parts", dataset_sha256=anew)
    proof = prove(made.path, champion, data, LIMITS, tmp_path / "proof.html")
    assert "hold-out unseen" in unmet(proof)
    assert "learned from" in proof.why_not


def test_the_same_model_again_is_no_reason_to_change(data: Path, learned: str, tmp_path: Path) -> None:
    first = challenger(tmp_path, "first", learned)
    again = challenger(tmp_path, "again", learned)
    for made in (first, again):
        proof = prove(made.path, first.path, data, LIMITS, tmp_path / "proof.html")
        assert unmet(proof) == {"reason to change"}


def test_a_first_model_is_held_against_absolute_limits_alone(data: Path, learned: str, tmp_path: Path) -> None:
    proof = prove(challenger(tmp_path, "cells", learned).path, None, data, LIMITS, tmp_path / "proof.html")
    assert proof.passed, proof.why_not
    assert proof.figures.champion_escapes is None
    assert "none: only absolute limits count" in (tmp_path / "proof.html").read_text(encoding="utf-8")


@pytest.mark.long
def test_a_handful_of_images_proves_nothing(data: Path, learned: str, champion: Path, tmp_path: Path) -> None:
    limits = replace(LIMITS, least_bad=25)
    proof = prove(challenger(tmp_path, "cells", learned).path, champion, data, limits, tmp_path / "proof.html")
    assert unmet(proof) == {"enough images"}


@pytest.mark.long
def test_one_more_escape_in_a_class_is_a_no_unless_somebody_allows_it(data: Path, learned: str, tmp_path: Path) -> None:
    before = challenger(tmp_path, "before", learned, graph=bright_graph(bias=3.9, sight=(0, 0)))
    after = challenger(tmp_path, "after", learned, graph=bright_graph(sight=(10, 7)))
    proof = prove(after.path, before.path, data, LIMITS, tmp_path / "proof.html")
    rise = proof.figures.by_class["dark"].rise
    assert 0 < rise < 6
    assert {"escapes of dark", "escapes do not rise"} <= unmet(proof)
    allowed = prove(after.path, before.path, data, replace(LIMITS, escapes_rise=rise), tmp_path / "proof.html")
    assert not {"escapes of dark", "escapes do not rise"} & unmet(allowed)


@pytest.mark.long
def test_beyond_a_limit_that_the_champion_misses_by_more_is_better_than_what_is_there(
    data: Path, learned: str, champion: Path, tmp_path: Path
) -> None:
    made = challenger(tmp_path, "wary", learned, graph=bright_graph(sight=(12.7, 10)))
    limits = replace(LIMITS, overkill_most=0.01)
    proof = prove(made.path, champion, data, limits, tmp_path / "proof.html")
    assert 0 < proof.figures.overkill < (proof.figures.champion_overkill or 0)
    assert "overkill" not in unmet(proof)
    assert "overkill" in unmet(prove(made.path, None, data, limits, tmp_path / "proof.html"))


def test_swapped_names_are_refused(data: Path, learned: str, champion: Path, tmp_path: Path) -> None:
    made = challenger(tmp_path, "swapped", learned, classes=("dark", "bright"))
    proof = prove(made.path, champion, data, LIMITS, tmp_path / "proof.html")
    assert unmet(proof) == {"names"}


@pytest.mark.long
def test_a_class_that_the_challenger_does_not_name_is_told(data: Path, learned: str, tmp_path: Path) -> None:
    made = challenger(tmp_path, "other", learned, classes=("bright", "scratch"))
    proof = prove(made.path, None, data, LIMITS, tmp_path / "proof.html")
    assert "classes" in unmet(proof)
    assert "does not know dark" in proof.why_not


@pytest.mark.long
def test_a_detector_is_judged_as_the_station_does(data: Path, champion: Path, tmp_path: Path) -> None:
    proof = prove(make_detector(tmp_path).path, champion, data, LIMITS, tmp_path / "proof.html")
    assert proof.figures.named is not None
    assert "hold-out unseen" in unmet(proof)


def test_the_same_is_asked_from_a_shell(data: Path, learned: str, champion: Path, tmp_path: Path) -> None:
    made = challenger(tmp_path, "cells", learned)
    words = ["evaluate", "--bundle", str(made.path), "--data", str(data), "--champion", str(champion), "--promote"]
    said = CliRunner().invoke(app, [*words, "--report", str(tmp_path / "proof.html")])
    assert said.exit_code == 1, said.output
    assert "NOT MET: enough images" in said.output  # by the limits that are not a test's
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert (found["passed"], found["figures"]["champion_overkill"]) == (False, 8)
    assert (tmp_path / "proof.html").is_file()


def test_no_hold_out_no_proof(champion: Path, tmp_path: Path) -> None:
    whole = frozen_data(tmp_path / "data")
    (whole / "test").rename(whole / "more")
    with pytest.raises(DatasetError, match="declares no image as 'test'"):
        prove(champion, None, whole, LIMITS, tmp_path / "proof.html")


def test_a_champion_that_does_not_verify_is_an_error_and_no_proof(data: Path, champion: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a bundle"):
        prove(champion, tmp_path, data, LIMITS, tmp_path / "proof.html")


@pytest.mark.parametrize("wrong", [{"alpha": 2.0}, {"overkill_most": -0.1}, {"escapes_rise": -1}])
def test_a_limit_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RequestError, match="promotion"):
        PromotionLimits(**wrong)  # type: ignore[arg-type]
