"""The model's life: networks, quantization, evaluation, bundles. Code, never weights."""

import sys

# `import openvino` and nncf report each use to their maker's analytics host through this package, unasked. An appliance
# on a production line talks to nobody it was not told to: with the name blocked, both fall back to their own stub.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
