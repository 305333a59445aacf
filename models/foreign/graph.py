"""A foreign graph, read and held against its head: one picture in, every size fixed, float arithmetic."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import openvino as ov

from models.errors import GateError, ModelError, RequestError
from models.foreign.head import PixelInput
from models.spec import InputSpec

SUFFIXES = (".onnx", ".xml")
_RANK = 4
_FLOATS = (ov.Type.f32, ov.Type.f16, ov.Type.bf16)
_QUANTIZERS = frozenset({"FakeQuantize", "FakeConvert"})
_FEW_BITS = frozenset({"i8", "u8", "i4", "u4", "nf4"})
_WEIGHTS_FROM = 1024
_CORE = ov.Core()


@dataclass(frozen=True, slots=True, eq=False)
class ForeignGraph:
    """What was read, and from where.

    Args:
        model: one input (1, channels, H, W) or (1, H, W, channels), static; its outputs by their own names.
        spec: the input as a station sees it, (1, H, W, 3) uint8 BGR.
        file: the model file's name.
        sha256: of the model file; of an OpenVINO graph, of its weights after it.
    """

    model: ov.Model
    spec: InputSpec
    file: str
    sha256: str


def read_graph(path: Path, pixels: PixelInput) -> ForeignGraph:
    """The graph in this file, its open sizes fixed as the head says.

    Raises:
        ModelError: the file cannot be read, or OpenVINO does not take it for a model.
        RequestError: it is no .onnx or .xml, or its input is not what the head declares.
        GateError: it is quantized.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise RequestError(f"import: expected a model file {' or '.join(SUFFIXES)}, got {path.name}: export one")
    digest = _digest(path)
    try:
        model = _CORE.read_model(path)
    except RuntimeError as fault:
        raise ModelError(f"import: OpenVINO reads no model from {path}: {_short(fault)}: export it anew") from fault
    _refuse_quantized(model)
    height, width = _fix(model, pixels)
    return ForeignGraph(model, InputSpec("image", height, width, pixels.pad_value, pixels.fit), path.name, digest)


def output_of(model: ov.Model, name: str, key: str) -> ov.Output:
    """What feeds the output of this name; its shape is static.

    Args:
        model: fixed.
        name: as the head says.
        key: of the head, for the message.

    Raises:
        RequestError: there is no such output, or its shape depends on what is seen.
    """
    found = [output for output in model.outputs if name in output.get_names()]
    if not found:
        known = [" = ".join(sorted(output.get_names())) + f" {shape_of(output)}" for output in model.outputs]
        raise RequestError(
            f"import: {key} = {name!r}, and the graph's outputs are {'; '.join(known)}: name one of them"
        )
    if found[0].get_partial_shape().is_dynamic:
        raise RequestError(
            f"import: output {name!r} has shape {shape_of(found[0])}, and every size must be fixed: export the graph "
            "without its own suppression, or with static shapes"
        )
    source: ov.Output = found[0].get_node().input_value(0)
    return source


def shape_of(output: ov.Output) -> str:
    """Its shape as text; open sizes as ?."""
    return str(output.get_partial_shape())


def append(model: ov.Model, pixels: ov.Node) -> None:
    """Let `pixels` feed the body instead of its own input, and take every name off its tensors.

    Our outputs are called `boxes`, `scores`, `map`: so may tensors inside a foreign graph.
    """
    for target in model.inputs[0].get_target_inputs():
        target.replace_source_output(pixels.output(0))
    for node in model.get_ops():
        for output in node.outputs():
            output.get_tensor().set_names(set())


def _digest(path: Path) -> str:
    whole = hashlib.sha256()
    try:
        for part in (path, path.with_suffix(".bin")) if path.suffix.lower() == ".xml" else (path,):
            if part == path or part.exists():
                whole.update(part.read_bytes())
    except OSError as fault:
        raise ModelError(f"import: cannot read {path}: {fault.strerror}: name a model file that is there") from fault
    return whole.hexdigest()


def _refuse_quantized(model: ov.Model) -> None:
    """INT8 that was never held against FP32 goes on no line; its float original goes, and through our gate."""
    marks = [node.get_friendly_name() for node in model.get_ops() if _is_quantized(node)]
    if marks:
        raise GateError(
            f"import: the graph is quantized ({len(marks)} places, the first {marks[0]}), and no gate compared it with "
            "its float original: import the float graph"
        )


def _is_quantized(node: ov.Node) -> bool:
    if node.get_type_name() in _QUANTIZERS:
        return True
    if node.get_type_name() != "Constant" or node.get_element_type().get_type_name() not in _FEW_BITS:
        return False
    return math.prod(int(side) for side in node.get_output_shape(0)) >= _WEIGHTS_FROM


def _fix(model: ov.Model, pixels: PixelInput) -> tuple[int, int]:
    """Reshape what is open; (height, width)."""
    if len(model.inputs) != 1:
        names = [sorted(one.get_names()) for one in model.inputs]
        raise RequestError(
            f"import: expected one input, a picture, got {len(names)}: {names}: export without the others"
        )
    entry = model.inputs[0]
    stated, kind = entry.get_partial_shape(), entry.get_element_type()
    if kind not in {*_FLOATS, ov.Type.u8}:
        raise RequestError(f"import: the input is {kind.get_type_name()}, expected f32, f16, bf16 or u8: export it so")
    if stated.rank.is_dynamic or len(stated) != _RANK:
        raise RequestError(f"import: the input has shape {stated}, expected four sizes as in {pixels.layout}")
    sides = [int(size.get_length()) if size.is_static else None for size in stated]
    wanted = _wanted(sides, pixels)
    try:
        model.reshape({entry: ov.PartialShape(wanted)})
    except RuntimeError as fault:
        raise RequestError(f"import: the graph cannot take an input of {wanted}: {_short(fault)}") from fault
    return (wanted[2], wanted[3]) if pixels.layout == "NCHW" else (wanted[1], wanted[2])


def _wanted(stated: Sequence[int | None], pixels: PixelInput) -> list[int]:
    """The four sizes, each as stated where it is, else as declared."""
    declared = {"N": 1, "C": pixels.channels, "H": pixels.height, "W": pixels.width}
    says = {"N": "batch 1", "C": f"{pixels.colour}, so {pixels.channels} channels", "H": "height", "W": "width"}
    sides = []
    for letter, have in zip(pixels.layout, stated, strict=True):
        want = declared[letter]
        if have is not None and want is not None and have != want:
            raise RequestError(
                f"import: the graph's input {list(stated)} read as {pixels.layout} has {letter} = {have}, expected "
                f"{want} ({says[letter]}): mend the head's [input], or export the graph so"
            )
        side = have if have is not None else want
        if side is None:
            raise RequestError(
                f"import: the graph leaves {says[letter]} open: set input.height and input.width in the head"
            )
        sides.append(side)
    return sides


def _short(fault: Exception) -> str:
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return (lines[-1] if lines else type(fault).__name__)[:200]
