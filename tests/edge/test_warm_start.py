"""A second start takes the graph that the first one compiled, and trusts it no further than its self-test."""

from pathlib import Path

import pytest
from daemon_kit import daemon, line_to, status
from edge_kit import image
from station_kit import GREY, Station, blob_graph, make_bundle, write_frames

from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan
from models.bundle import Bundle
from models.compile import compile_configured, cpu_config
from models.compiled_store import CompiledStore, _exported, _write
from models.errors import ModelError

PLAN = Plan(1, 1, 2)


def test_a_warm_start_compiles_nothing_and_says_so(tmp_path: Path) -> None:
    made = Station(tmp_path)
    made.write_config()
    make_bundle(made.bundles)
    write_frames(tmp_path / "frames", 4, bad_every=2)
    for graph in ("compiled", "cached"):
        with daemon(made), line_to(made) as line:
            line.hear_ready(ready=True)
            verdicts = []
            for number in range(4):
                line.trigger(f"{graph}-{number}")
                verdicts.append(line.hear()["verdict"])
        assert verdicts == ["PASS", "REJECT"] * 2
        assert status(made)["models"]["blob"]["graph"] == graph
    kept = [path.name for path in (made.folder / "data" / "cache").iterdir()]
    assert len(kept) == 1
    (made.folder / "data" / "cache" / kept[0]).write_bytes(b"damaged")
    with daemon(made):
        pass
    assert status(made)["models"]["blob"]["graph"] == "compiled"
    assert status(made)["faults"] == {}


def another(bundle: Bundle, score: float) -> Bundle:
    cases = tuple(type(case)(case.frame, score, case.tolerance) for case in bundle.selftest)
    return Bundle(bundle.path, bundle.manifest, bundle.model_id, bundle.spec, cases)


def test_a_stored_graph_is_self_tested_as_any_other(tmp_path: Path) -> None:
    bundle, store = make_bundle(tmp_path / "bundles"), CompiledStore(tmp_path / "cache", set)
    assert not OpenVinoEngine(bundle, PLAN, store=store).cached
    assert OpenVinoEngine(bundle, PLAN, store=store).cached
    with pytest.raises(ModelError, match="self-test frame"):
        OpenVinoEngine(another(bundle, 0.99), PLAN, store=store)


def test_a_stored_graph_of_another_model_fails_its_self_test_and_is_compiled_anew(tmp_path: Path) -> None:
    """As if an entry had been put there under another's name: its hash is right, and its answers are not."""
    bundle = make_bundle(tmp_path / "bundles")
    store = CompiledStore(tmp_path / "cache", set)
    config = cpu_config(bundle.precision, threads=PLAN.threads, streams=PLAN.streams)
    store.load(bundle, config)
    (entry,) = (tmp_path / "cache").iterdir()
    _write(entry, _exported(compile_configured(blob_graph(nan_above=100), config)))
    assert store.load(bundle, config).cached
    engine = OpenVinoEngine(bundle, PLAN, store=store)
    assert (engine.cached, "fails the self-test" in engine.note) == (False, True)
    assert len(engine.submit(image(GREY), 5).result(5)) == 0
    assert not OpenVinoEngine(bundle, PLAN, store=store).cached
    assert OpenVinoEngine(bundle, PLAN, store=store).cached
