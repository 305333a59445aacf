"""The catalogue of findings: all of it is used, provoked, and says how to mend."""

import ast
import functools
import re
from pathlib import Path

import pytest
import typer

from cloud_sync.hub.cli import app as cloud_app
from edge.cli import app as edge_app
from edge.doctor.finding import fault, meanings
from edge.doctor.rooms import ROOMS
from edge.doctor.showing import spoken

TESTS = Path(__file__).parent
CODE = Path(__file__).parents[3] / "edge" / "doctor"


@functools.cache
def texts(folder: Path) -> frozenset[str]:
    """Every string constant in the Python files of a folder but this one."""
    files = set(folder.rglob("*.py")) - {Path(__file__)}
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


@pytest.mark.parametrize("fault_id", list(meanings()))
def test_each_finding_is_provoked_by_a_test_and_says_what_mends_it(fault_id: str) -> None:
    meaning = meanings()[fault_id]
    assert meaning.state in {"note", "bad"}
    assert meaning.means.endswith(".")
    assert len(spoken(meaning.mend)) > 10
    assert fault_id in texts(TESTS), f"no test provokes {fault_id}"
    assert fault_id.partition(".")[0] in ROOMS


def test_the_code_names_no_finding_that_the_catalogue_does_not_know() -> None:
    rooms = "|".join(ROOMS)
    named = {text for text in texts(CODE) if re.fullmatch(rf"({rooms})\.[a-z0-9-]+", text)} - {
        "station.toml",
        "station.db",
    }
    assert named - meanings().keys() == set()
    made = {
        "broker.not-yet-valid",
        "broker.expired",
        "broker.other-name",
        "broker.other-authority",
        "broker.not-believed",
    }
    assert meanings().keys() - named == made  # put together from OpenSSL's numbers


def test_a_finding_that_nobody_knows_cannot_be_made() -> None:
    with pytest.raises(KeyError):
        fault("disk.nonsense", "disk", "found")


def test_each_command_that_mends_something_exists() -> None:
    texts_to_mend = " ".join(spoken(meaning.mend) for meaning in meanings().values())
    for program, app, before in (("edge", edge_app, r"(?<![\w/.-])"), ("cloud", cloud_app, "`")):
        command = typer.main.get_command(app)
        for words in set(re.findall(rf"{before}{program}((?: [a-z][a-z-]+){{1,2}})", texts_to_mend)):
            assert _exists(command, words.split()), f"{program}{words}"


def _exists(command: object, words: list[str]) -> bool:
    inner = getattr(command, "commands", {}).get(words[0])
    return inner is not None and (len(words) == 1 or not hasattr(inner, "commands") or _exists(inner, words[1:]))
