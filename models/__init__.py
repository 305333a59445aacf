"""The model's life: networks, quantization, evaluation, bundles. Code, never weights."""

import os
import sys

# A picture of more pixels, 16,384 x 16,384, is decoded by nobody. OpenCV reads this when it is loaded.
PIXELS_LIMIT = 1 << 28
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(PIXELS_LIMIT))

# `import openvino` and nncf report each use to their maker's analytics host through this package, unasked. An appliance
# on a production line talks to nobody it was not told to: with the name blocked, both fall back to their own stub.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
