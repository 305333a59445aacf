"""What goes between the station and a challenger's process: a JSON line each way, pixels in shared memory."""

import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.infer.plan import Plan
from models.detections import Detections

Said = dict[str, Any]
Fault = Literal["model", "reference"]


@dataclass(frozen=True, slots=True)
class Order:
    """What the process is to run, said once.

    Args:
        bundle: its folder.
        sha256: of its manifest: what was opened before, and nothing else.
        cache: folder of compiled graphs.
        bundles: folder of all bundles, so that their graphs stay in the cache.
        plan: how it will run once it is live; compiled for that too.
        reference: picture of a good part, or "".
        shared: descriptor of the memory that frames lie in; -1: load, compile, and end.
    """

    bundle: str
    sha256: str
    cache: str
    bundles: str
    plan: Plan
    reference: str
    shared: int

    def pack(self) -> bytes:
        """As a line."""
        return _line(asdict(self))

    @classmethod
    def unpack(cls, line: bytes) -> "Order":
        """From a line."""
        said = json.loads(line)
        return cls(**(said | {"plan": Plan(**said["plan"])}))


def pack_look(number: int, shape: tuple[int, ...]) -> bytes:
    """Look at the frame (height, width, 3) that lies in the shared memory."""
    return _line({"number": number, "shape": shape})


def pack_found(number: int, found: Detections, cpu_ms: float) -> bytes:
    """What was found, and the processor time it took."""
    arrays = {
        "boxes_xyxy": _packed(found.boxes_xyxy),
        "scores": _packed(found.scores),
        "class_ids": _packed(found.class_ids),
        "map": None if found.map is None else _packed(found.map),
    }
    return _line({"number": number, "found": arrays, "cpu_ms": cpu_ms})


def pack_fault(number: int, fault: Fault, why: str) -> bytes:
    """That there is no answer; number 0: to the order itself."""
    return _line({"number": number, "fault": fault, "why": why[:500]})


def pack_ready() -> bytes:
    """That it is loaded."""
    return _line({"number": 0})


def unpack_found(said: Said) -> Detections:
    """What was found. Raises ModelError as `Detections`; ValueError, LookupError, TypeError: it is no answer."""
    arrays = said["found"]
    floats = {name: _unpacked(arrays[name], np.float32) for name in ("boxes_xyxy", "scores")}
    found_map = None if arrays["map"] is None else _unpacked(arrays["map"], np.float32)
    return Detections(floats["boxes_xyxy"], floats["scores"], _unpacked(arrays["class_ids"], np.int32), found_map)


def _line(content: Said) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _packed(array: NDArray[Any]) -> Said:
    return {"shape": array.shape, "data": b64encode(np.ascontiguousarray(array).tobytes()).decode()}


def _unpacked(packed: Said, dtype: type[Any]) -> NDArray[Any]:
    return np.frombuffer(b64decode(packed["data"]), dtype).reshape(packed["shape"]).copy()
