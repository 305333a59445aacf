"""Environments as they are met: written as pip writes them, and this one where OpenVINO cannot work."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from doctor_kit import expect, station_around, well

from edge.doctor.around import Around
from edge.doctor.requirement import fits
from edge.doctor.rooms import packages

NEEDS = "Requires-Dist: numpy>=2.2\nRequires-Dist: typer<0.28,>=0.24\nRequires-Dist: nncf>=3; extra == 'calibrate'\n"
NEEDS += "Requires-Dist: asyncua>=2.1; extra == 'opcua'\n"
WHOLE = {"inspectd": "0.1.0", "numpy": "2.4.1", "typer": "0.27.0", "opencv-python-headless": "5.0", "nncf": "3.4"}
LOOK = (
    "import sys; {first}; from pathlib import Path; from edge.doctor.around import Around;"
    "from edge.doctor.rooms.packages import openvino;"
    "print(*(finding.id for finding in openvino(Around(Path('data')))))"
)
NO_NEW_CODE = "import ctypes; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0, 'no MDWE'"


def environment(folder: Path, installed: Mapping[str, str], python: str = ">=3.11") -> Around:
    """A folder of packages as pip leaves it: their metadata."""
    for name, version in installed.items():
        info = folder / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        more = f"Requires-Python: {python}\n{NEEDS}" if name == "inspectd" else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}")
    return Around(folder / "data", site=(str(folder / "site"),))


def test_an_environment_as_it_should_be_is_well(tmp_path: Path) -> None:
    around = environment(tmp_path, WHOLE)
    looks = packages.python, packages.requirements, packages.opencv, packages.extras
    assert len(well(finding for look in looks for finding in look(around))) == 4


@pytest.mark.parametrize(
    ("installed", "fault_id", "words"),
    [
        pytest.param({"inspectd": "0.1", "typer": "0.27"}, "packages.missing", ("numpy", ">=2.2"), id="missing"),
        pytest.param(WHOLE | {"typer": "0.29.1"}, "packages.out-of-range", ("0.29.1", "<0.28"), id="too new"),
        pytest.param(WHOLE | {"numpy": "2.1.9"}, "packages.out-of-range", ("2.1.9", ">=2.2"), id="too old"),
        pytest.param({"numpy": "2.4"}, "packages.not-installed", (), id="not installed"),
    ],
)
def test_what_is_needed_and_not_there_is_found(
    tmp_path: Path, installed: dict[str, str], fault_id: str, words: tuple[str, ...]
) -> None:
    expect(packages.requirements(environment(tmp_path, installed)), fault_id, *words)


def test_another_python_is_found(tmp_path: Path) -> None:
    expect(packages.python(environment(tmp_path, WHOLE, ">=3.99")), "packages.python", ">=3.99")


def test_two_owners_of_cv2_are_named(tmp_path: Path) -> None:
    around = environment(tmp_path, WHOLE | {"opencv-python": "5.0"})
    expect(packages.opencv(around), "packages.two-cv2", "uninstall -y opencv-python opencv-python-headless")


def test_the_desktops_opencv_is_refused(tmp_path: Path) -> None:
    expect(packages.opencv(environment(tmp_path, {"opencv-python": "5.0"})), "packages.other-cv2", "opencv-python")


def test_torch_on_a_station_and_no_calibration_are_noted(tmp_path: Path) -> None:
    found = list(packages.extras(environment(tmp_path, {"torch": "2.13"})))
    expect(found, "packages.torch", "2.13")
    expect(found, "packages.no-calibration")


@pytest.mark.parametrize(
    ("output", "package"),
    [
        pytest.param("kind = 'opcua'\n", "asyncua", id="opcua"),
        pytest.param("kind = 'gpio'\npass_line = 1\nfail_line = 2\n", "gpiod", id="gpio"),
    ],
)
def test_the_library_of_an_output_is_missed(tmp_path: Path, output: str, package: str) -> None:
    around = station_around(tmp_path / "station", more=f"[[output]]\nid = 'out'\n{output}")
    bare = replace(around, site=environment(tmp_path, WHOLE).site)
    expect(packages.extras(bare), "packages.extra-missing", package, "pip install 'inspectd[")


def test_a_library_of_an_output_in_another_version_is_found(tmp_path: Path) -> None:
    around = station_around(tmp_path / "station", more="[[output]]\nid = 'ua'\nkind = 'opcua'\n")
    old = replace(around, site=environment(tmp_path, WHOLE | {"asyncua": "1.9"}).site)
    expect(packages.extras(old), "packages.out-of-range", "asyncua", "1.9, wanted >=2.1")


def test_openvino_works_here() -> None:
    well(packages.openvino(Around(Path("data"))))


def ids(first: str, env: Mapping[str, str] | None = None) -> list[str]:
    command = [sys.executable, "-c", LOOK.format(first=first)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=60)
    if "no MDWE" in done.stderr:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_an_openvino_that_does_not_start_is_found(tmp_path: Path) -> None:
    (tmp_path / "openvino.py").write_text("raise ImportError('libtbb.so.12: cannot open shared object file')")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    assert ids("pass", os.environ | {"PYTHONPATH": path}) == ["packages.openvino"]


def test_a_kernel_that_refuses_new_code_is_named(tmp_path: Path) -> None:  # noqa: ARG001
    assert ids(NO_NEW_CODE) == ["packages.no-new-code"]


@pytest.mark.parametrize(
    ("version", "versions", "fit"),
    [
        ("2.2", ">=2.2", True),
        ("2.2.0", "==2.2", True),
        ("2.13.0+cpu", "==2.13.0", True),
        ("10.0", ">=9", True),
        ("1.9", "!=1.9", False),
        ("1.4.5", "~=1.4.2", True),
        ("1.5", "~=1.4.2", False),
        ("3.0", ">2,<3", False),
        ("2.9", "<=2.8", False),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, versions: str, fit: bool) -> None:  # noqa: FBT001
    assert fits(version, versions) is fit
