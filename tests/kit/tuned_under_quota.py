"""A process that tunes a bundle under the CPU quota it was started with, and compares, in turns, with OpenVINO's hint.

`python tuned_under_quota.py BUNDLE CAMERAS SECONDS [GROUP]` prints one JSON object; GROUP is the folder of the control
group, whose count of stopped periods is read around every turn.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from paced_kit import prepared
from quota_kit import throttled

from edge.calibrate.tuning.bench import Bench
from edge.calibrate.tuning.candidates import Contender
from edge.calibrate.tuning.facts import station_facts
from edge.calibrate.tuning.search import Reading, in_turns, ratio
from edge.calibrate.tuning.tune import TuneLimits, tune
from edge.config import StationConfig
from models.bundle import open_bundle
from models.progress import SilentProgress

ROUNDS = 7
SLICE_S = 0.6


def main(bundle_path: str, cameras: int, seconds: float, group: str) -> dict[str, object]:
    bundle, frames = open_bundle(Path(bundle_path)), prepared(4)
    with tempfile.TemporaryDirectory() as folder:
        config = StationConfig.model_validate(
            {
                "station": {"id": "bench", "data_dir": folder},
                "camera": [{"id": f"c-{number}", "source": "0"} for number in range(cameras)],
                "product": [{"id": "p", "bundle": "b", "recipe": _recipe(bundle.spec.kind, bundle.spec.classes)}],
                "retention": {"images": "none"},
            }
        )
        given = {camera.id: frames for camera in config.camera}
        facts = station_facts(config, config.product[0], bundle, frames=given)
        found = tune(bundle, facts, TuneLimits(seconds, planning=False), SilentProgress())
    own = max((one for one in found.searched if one.hint is None), key=lambda one: found.searched[one].parts_per_s)
    stopped: Counter[str] = Counter()
    with Bench(bundle, facts.parts) as bench:
        hint = bench.hinted("THROUGHPUT", cameras)
        everyone = list(dict.fromkeys([Contender(found.plan), own, hint]))

        def measure(contender: Contender, turn_s: float) -> Reading:
            before = throttled(Path(group)) if group else {}
            reading = bench.measure(contender, turn_s)
            if group:
                stopped[contender.name] += throttled(Path(group))["nr_throttled"] - before["nr_throttled"]
            return reading

        for one in everyone:
            measure(one, 0.0)
        stopped.clear()
        seen = in_turns(everyone, measure, 0.0, time.monotonic, SLICE_S, rounds=ROUNDS)
    whole = found.as_json()
    return {
        "machine": str(found.grant),
        "chosen": str(found.plan),
        "best of the model alone": str(own.plan),
        "hint": str(hint.plan),
        "whole station": whole["ratios"],
        "others_cpus": whole["others_cpus"],
        "model alone": {
            one.name: {
                "times the hint": round(ratio(seen, one, hint), 3),
                "parts_per_s": round(seen[one].parts_per_s, 1),
                "p99_ms": round(seen[one].latency_ms(), 1),
                "cpu_ms": round(seen[one].cpu_ms, 2),
                "periods stopped": stopped[one.name],
            }
            for one in everyone
        },
        "ratio": round(ratio(seen, Contender(found.plan), hint), 3),
    }


def _recipe(kind: str, classes: tuple[str, ...]) -> dict[str, object]:
    return {"kind": str(kind), "classes": {name: {} for name in classes}}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), "".join(sys.argv[4:]))) + "\n")
