"""A graph that breaks what runs it ends a process of its own, and nothing else."""

import subprocess
from pathlib import Path

import pytest
from bad_graphs import Graph, crashing, hanging, swelling, with_graph
from masters_kit import masters_station
from release_kit import release_station
from station_kit import make_bundle

from edge.config import load_config
from edge.release.trial import Limits, answer_of, try_apart
from models.errors import GateError, ModelError

TIGHT = Limits(cpu_s=2, memory_bytes=2 * 1024**3)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(crashing, "ended by SIGSEGV: the graph breaks what runs it", id="crash"),
        pytest.param(hanging, "used up all the processor time", id="hang", marks=pytest.mark.long),
        pytest.param(swelling, "Failed to allocate", id="swells", marks=pytest.mark.long),
    ],
)
def test_a_graph_that_breaks_openvino_is_refused_and_we_live(tmp_path: Path, make: Graph, why: str) -> None:
    config = load_config(release_station(tmp_path).config)
    with pytest.raises(ModelError, match=why):
        try_apart(config, with_graph(tmp_path / "bad", make), ["blob"], TIGHT)


def test_a_trial_that_gets_no_end_is_ended(tmp_path: Path) -> None:
    config = load_config(release_station(tmp_path).config)
    with pytest.raises(ModelError, match="no answer within"):
        try_apart(config, make_bundle(tmp_path / "made"), ["blob"], Limits(wall_s=0.1))


def test_a_process_that_never_reads_its_order_holds_nobody_up() -> None:
    """More than a pipe holds."""
    child = subprocess.Popen(["/bin/sleep", "600"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        with pytest.raises(ModelError, match="no answer within"):
            answer_of(child, b"x" * 1_000_000, Limits(wall_s=0.5))
    finally:
        child.kill()
        child.communicate()


@pytest.mark.long
def test_a_model_that_tells_a_master_part_wrong_is_refused(tmp_path: Path) -> None:
    config = load_config(masters_station(tmp_path).config)
    assert try_apart(config, make_bundle(tmp_path / "good"), ["blob"], Limits()).rejects_masters
    with pytest.raises(GateError, match="'blot' is PASS, expected REJECT"):
        try_apart(config, make_bundle(tmp_path / "blind", blindness=1000), ["blob"], Limits())


def test_where_bad_master_parts_must_be_rejected_a_product_without_any_refuses_the_release(tmp_path: Path) -> None:
    asked = load_config(release_station(tmp_path, floors={"reject_masters": True}).config)
    with pytest.raises(GateError, match="bad master part of each product, and 'blob' has none"):
        try_apart(asked, make_bundle(tmp_path / "good"), ["blob"], Limits())


@pytest.mark.long
def test_without_master_parts_none_were_rejected(tmp_path: Path) -> None:
    config = load_config(release_station(tmp_path).config)
    assert not try_apart(config, make_bundle(tmp_path / "good"), ["blob"], Limits()).rejects_masters
