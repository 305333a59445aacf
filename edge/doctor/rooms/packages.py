"""Python and its packages: the versions this product was made for, one owner of cv2, OpenVINO at work."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions

from edge.config_outputs import GpioSection, ModbusSection, OpcUaSection
from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok
from edge.doctor.requirement import Requirement, fits, parse_requirement

_PRODUCT = "inspectd"
_CV2 = "opencv-python-headless"
_CV2_OWNERS = frozenset(
    {"opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"}
)
_NEEDED_BY: dict[type, tuple[str, str]] = {
    ModbusSection: ("pymodbus", "modbus"),
    OpcUaSection: ("asyncua", "opcua"),
    GpioSection: ("gpiod", "gpio"),
}


def python(around: Around) -> Iterator[Finding]:
    """Its version, and that of the C library."""
    product = _installed(around).get(_PRODUCT)
    says = product is not None and "Requires-Python" in product.metadata
    wanted = product.metadata["Requires-Python"] if product is not None and says else ""
    found = f"{platform.python_version()}, {' '.join(platform.libc_ver()) or 'unknown C library'}"
    if wanted and not fits(platform.python_version(), wanted):
        yield fault("packages.python", "python", f"{found}, wanted {wanted}", wanted=wanted)
    else:
        yield ok("packages", "python", found)


def requirements(around: Around) -> Iterator[Finding]:
    """Whether everything that a station needs is here, in a version that it was made for."""
    installed = _installed(around)
    product = installed.get(_PRODUCT)
    if product is None:
        yield fault("packages.not-installed", "packages", "this program runs from a folder and is not installed")
        return
    wanted = [each for text in product.requires or () if (each := parse_requirement(text)) is not None]
    wrong = list(_unmet(wanted, installed))
    yield from wrong
    if not wrong:
        yield ok("packages", "packages", f"inspectd {product.version} and the {len(wanted)} it needs")


def _unmet(wanted: list[Requirement], installed: dict[str, Distribution]) -> Iterator[Finding]:
    for each in wanted:
        if each.name not in installed:
            yield fault("packages.missing", each.name, f"not installed, wanted {each.versions}", package=each)
        elif not fits(version := installed[each.name].version, each.versions):
            yield fault("packages.out-of-range", each.name, f"{version}, wanted {each.versions}", package=each)


def opencv(around: Around) -> Iterator[Finding]:
    """Whose cv2 is imported: several distributions bring one, and the last that was installed wins."""
    installed = _installed(around)
    owners = sorted(_CV2_OWNERS & installed.keys())
    if owners == [_CV2]:
        yield ok("packages", "opencv", f"{_CV2} {installed[_CV2].version}")
    elif len(owners) > 1:
        yield fault("packages.two-cv2", "opencv", f"{' and '.join(owners)} own cv2", owners=" ".join(owners))
    else:
        yield fault("packages.other-cv2", "opencv", f"found {''.join(owners) or 'none'}, wanted {_CV2} alone")


def openvino(_around: Around) -> Iterator[Finding]:
    """Whether it starts, has this processor as a device, and may make code while it runs."""
    try:
        import openvino as ov

        core = ov.Core()
        abilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        name = core.get_property("CPU", "FULL_DEVICE_NAME")
        _compile(ov, core)
    except (ImportError, RuntimeError) as error:
        words = f"{type(error).__name__}: {error}".splitlines()
        said = next((line for line in reversed(words) if line.strip()), words[0])
        barred = "protect" in str(error)  # xbyak's word for mprotect(2) that the kernel refused
        yield fault("packages.no-new-code" if barred else "packages.openvino", "openvino", f"does not work: {said}")
    else:
        yield ok("packages", "openvino", f"{ov.__version__.partition('-')[0]} on {name}: {', '.join(abilities)}")


def _compile(ov: object, core: object) -> None:
    """A graph of one multiplication: its kernel is made here and now."""
    from openvino import opset13 as ops

    given = ops.parameter([4, 8], dtype=float, name="given")
    weights = ops.constant([[1.0] * 8] * 8, dtype=float)
    core.compile_model(ov.Model([ops.matmul(given, weights, False, True)], [given], "probe"), "CPU")  # type: ignore[attr-defined]


def extras(around: Around) -> Iterator[Finding]:
    """What this station's outputs and cameras need besides, and what a station had better not have."""
    installed = _installed(around)
    wanted = _wanted_by_extras(installed.get(_PRODUCT))
    for package, extra, whose in _needed(around):
        versions = wanted.get(package, "")
        if package not in installed:
            yield fault("packages.extra-missing", package, f"not installed, and {whose} needs it", extra=extra)
        elif not fits(version := installed[package].version, versions):
            found = f"{version}, wanted {versions}, for {whose}"
            yield fault("packages.out-of-range", package, found, package=f"{package}{versions}")
        else:
            yield ok("packages", package, f"{version}, for {whose}")
    if "nncf" not in installed:
        yield fault("packages.no-calibration", "calibration", "nncf is not installed; a station runs without")
    else:
        yield ok("packages", "calibration", f"nncf {installed['nncf'].version}")
    if "torch" in installed:
        yield fault("packages.torch", "torch", f"{installed['torch'].version} is installed, and no station needs it")


def _wanted_by_extras(product: Distribution | None) -> dict[str, str]:
    """The versions of what only an extra asks for, by distribution."""
    lines = [text.partition(";") for text in (product.requires if product is not None else None) or ()]
    named = [parse_requirement(text) for text, _, marker in lines if "extra" in marker]
    return {each.name: each.versions for each in named if each is not None}


def _needed(around: Around) -> Iterator[tuple[str, str, str]]:
    """(distribution, extra, who needs it)."""
    if around.config is None:
        return
    for output in around.config.output:
        if type(output) in _NEEDED_BY:
            yield *_NEEDED_BY[type(output)], f"output {output.id!r}"
    for camera in around.config.camera:
        if str(camera.source).startswith("genicam://"):
            yield "harvesters", "genicam", f"camera {camera.id!r}"


def _installed(around: Around) -> dict[str, Distribution]:
    """Every distribution by its normal name; the first on the path counts, as it does for an import."""
    found: dict[str, Distribution] = {}
    for each in distributions(path=list(around.site or sys.path)):
        if each.metadata["Name"]:
            found.setdefault(each.metadata["Name"].lower().replace("_", "-").replace(".", "-"), each)
    return found
