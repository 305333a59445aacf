"""What the commands about master parts refuse, and what they say."""

from pathlib import Path

import pytest
from masters_kit import pictures
from station_kit import Station
from typer.testing import CliRunner

from edge.cli import app
from edge.domain.errors import ConfigError, StorageError

TWO = "[[product]]\nid = 'cap'\nbundle = 'cap'\n[[camera]]\nid = 'side'\nsource = 'frames'\n"
OF_TOP = ["--product", "blob", "--camera", "top"]


@pytest.fixture
def made(tmp_path: Path) -> Station:
    station = Station(tmp_path / "station")
    station.config.parent.mkdir()
    station.config.write_text(station.write_config().read_text() + TWO)
    pictures(tmp_path)
    return station


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param(["verify-masters"], "no product has master parts", id="nothing to verify"),
        pytest.param(["verify-masters", "--product", "cork"], "one of blob, cap, got 'cork'", id="verify: no product"),
        pytest.param(["verify-masters", "--product", "blob"], "'blob' has no master parts", id="verify: none of it"),
        pytest.param(
            ["masters", "add", "fine.png", "--good"], "--product must be one of blob, cap", id="add: which product"
        ),
        pytest.param(
            ["masters", "add", "fine.png", "--good", "--product", "blob"],
            "--camera must be one of top, side",
            id="add: which camera",
        ),
        pytest.param(["masters", "add", "fine.png", *OF_TOP], "--good or known --bad", id="add: what is it"),
        pytest.param(
            ["masters", "add", "fine.png", "blot.png", "--good", "--name", "x", *OF_TOP],
            "--name is for one picture",
            id="add: one name for two",
        ),
        pytest.param(
            ["masters", "add", "blot.png", "--bad", "--class", "dent", *OF_TOP],
            "one of anomaly, got 'dent'",
            id="add: no class",
        ),
        pytest.param(
            ["masters", "add", "fine.png", "--good", "--class", "anomaly", *OF_TOP],
            "--class is for --bad",
            id="add: a good one's class",
        ),
        pytest.param(["masters", "add", "gone.png", "--good", *OF_TOP], "no readable picture", id="add: no file"),
        pytest.param(
            ["masters", "remove", "fine", "--product", "blob"],
            "no master part 'fine', it has none",
            id="remove: none there",
        ),
        pytest.param(["masters", "list", "--product", "cork"], "must be one of blob, cap", id="list: no product"),
        pytest.param(["masters", "history", "--product", "cork"], "must be one of blob, cap", id="history: no product"),
    ],
)
def test_what_cannot_be_is_a_wrong_request_and_says_what_to_do(
    made: Station, words: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*words, "-c", str(made.config)])
    assert isinstance(done.exception, ConfigError), done.output
    assert why in str(done.exception)


def test_a_station_that_never_ran_has_no_history(made: Station) -> None:
    done = CliRunner().invoke(app, ["masters", "history", "-c", str(made.config)])
    assert isinstance(done.exception, StorageError)


def test_people_see_tables(made: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    added = runner.invoke(app, ["masters", "add", "fine.png", "--good", *OF_TOP, "-c", str(made.config)])
    assert (added.exit_code, "a check needs a known bad part too" in added.output) == (0, True)
    listed = runner.invoke(app, ["masters", "list", "-c", str(made.config)], env={"COLUMNS": "200"})
    assert (listed.exit_code, "fine" in listed.output) == (0, True)
