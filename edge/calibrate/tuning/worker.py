"""A process of its own that runs one bundle on the CPUs it is given: `python -m edge.calibrate.tuning.worker`.

It says `ready`; then for each line of orders on stdin, {plan, seconds}, it runs parts and answers with one line. It
ends with its stdin. Its affinity is set before OpenVINO is loaded, whose threads keep the one they are born with.
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Serve orders until stdin ends. The only argument is JSON: bundle, frames (.npz), cpus."""
    order = json.loads(sys.argv[1])
    os.sched_setaffinity(0, order["cpus"])
    import numpy as np

    from edge.calibrate.tuning.bench import Bench
    from edge.calibrate.tuning.candidates import Contender
    from edge.infer.plan import Plan
    from models.bundle import open_bundle

    with np.load(order["frames"]) as held:
        images = [held[f"frame-{index}"] for index in range(len(held.files) - 1)]
        reference = held["reference"] if held["reference"].size else None
    cameras = order["cameras"]
    parts = [images[start : start + cameras] for start in range(0, len(images), cameras)]
    with Bench(open_bundle(Path(order["bundle"])), parts, reference) as bench:
        _answer({"ready": True})
        for line in sys.stdin:
            wanted = json.loads(line)
            reading = bench.measure(Contender(Plan(**wanted["plan"])), wanted["seconds"])
            _answer({"parts": reading.parts, "seconds": reading.seconds, "latencies_ms": reading.latencies_ms})


def _answer(content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
