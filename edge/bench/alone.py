"""OpenVINO by itself: its own benchmark_app on the bundle's graph, told all that the station tells OpenVINO."""

import json
import re
import subprocess
import sys
from pathlib import Path

from edge.bench.result import Alone
from edge.infer.plan import Plan
from models.bundle import Bundle
from models.compile import cpu_config
from models.errors import ModelError

_APP = (
    "import sys; sys.modules['openvino_telemetry'] = None;"
    "from openvino.tools.benchmark.main import main; sys.exit(main())"
)
_PATIENCE_S = 120.0
_SAID = 300
_PER_MS = {"ms": 1, "us": 1000}  # it says microseconds of quick graphs


def openvino_alone(bundle: Bundle, plan: Plan, scratch: Path, seconds: int, *, one_at_a_time: bool = False) -> Alone:
    """Images per second of requests in flight as the plan has them, or of one at a time.

    Args:
        bundle: opened.
        plan: the station's.
        scratch: folder for a file of settings.
        seconds: to measure for; loading takes a few more.
        one_at_a_time: wait for each answer before the next.

    Raises:
        ModelError: the tool did not run to its end.
    """
    config = cpu_config(bundle.precision, threads=plan.threads, streams=plan.streams, pinning=plan.pinning)
    plugin = scratch / "benchmark_app.json"
    plugin.write_text(json.dumps({"CPU": {name: _word(value) for name, value in config.items()}}))
    arguments = ["-m", str(bundle.model_xml), "-d", "CPU", "-hint", "none", "-t", str(seconds)]
    arguments += ["-load_config", str(plugin), "-nstreams", str(plan.streams)]
    arguments += ["-api", "sync"] if one_at_a_time else ["-api", "async", "-nireq", str(plan.requests)]
    said = _run(arguments, _PATIENCE_S + seconds)
    rate, _ = _figure(r"Throughput:\s+([\d.]+) (FPS)", said)
    middle, unit = _figure(r"Median:\s+([\d.]+) (ms|us)", said)
    return Alone(rate, middle / _PER_MS[unit], plan.threads, plan.streams, 1 if one_at_a_time else plan.requests)


def _run(arguments: list[str], patience_s: float) -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _APP, *arguments], capture_output=True, text=True, check=False, timeout=patience_s
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"bench: OpenVINO's benchmark_app did not end in {patience_s:.0f} s") from error
    if done.returncode:
        raise ModelError(f"bench: OpenVINO's benchmark_app failed: {(done.stdout + done.stderr)[-_SAID:].strip()}")
    return done.stdout


def _word(value: object) -> str:
    return {True: "YES", False: "NO"}[value] if isinstance(value, bool) else str(value)


def _figure(pattern: str, said: str) -> tuple[float, str]:
    found = re.search(pattern, said)
    if found is None:
        raise ModelError(f"bench: OpenVINO's benchmark_app gave no figure: {said[-_SAID:].strip()}")
    return float(found.group(1)), found.group(2)
