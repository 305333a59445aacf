"""What station.toml says of an industrial camera, and what is refused of it before anything starts."""

import subprocess
import sys
from typing import Any

import gige_kit
import pytest
from pydantic import ValidationError

from edge.capture.industrial.aravis_library import load
from edge.capture.open import is_replayed, make_camera
from edge.config import CameraSection
from edge.domain.errors import ConfigError

GIGE = {"id": "top", "source": "gige://GV77"}


def section(**keys: Any) -> CameraSection:  # noqa: ANN401 - whatever a file may hold
    return CameraSection.model_validate(GIGE | keys)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        pytest.param(
            {"source": 0, "exposure_us": 100}, "exposure_us is set, and only a gige://", id="exposure of a webcam"
        ),
        pytest.param({"source": "frames", "gain_db": 0}, "gain_db is set, and only", id="gain of a folder"),
        pytest.param({"source": 0, "trigger": "hardware"}, "needs a gige://", id="line input of a webcam"),
        pytest.param({"trigger": "sometimes"}, "'software', 'hardware' or 'free'", id="a mode that is none"),
        pytest.param({"exposure_us": 0}, "greater than 0", id="no exposure"),
    ],
)
def test_settings_that_do_not_fit_the_source_are_refused(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        section(**keys)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        pytest.param({"source": "gige://"}, "names no camera", id="no name"),
        pytest.param({"trigger": "free"}, "set latency_ms", id="free-running with light that takes no time"),
        pytest.param({"trigger": "hardware"}, "set latency_ms", id="fired by the line, and there at once"),
    ],
)
def test_what_would_go_wrong_on_the_line_is_refused_at_the_start(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make_camera(section(**keys))


def test_a_missing_library_is_named_with_its_package() -> None:
    with pytest.raises(ConfigError, match=r"libaravis-0\.8-0"):
        load("libaravis-none.so.0")


@pytest.mark.skipif(bool(gige_kit.missing()), reason=gige_kit.missing() or "here")
def test_a_gige_camera_is_live_and_nothing_is_opened_yet() -> None:
    made = section(trigger="hardware", exposure_us=5000, trigger_line="Line0", latency_ms=5)
    assert not is_replayed(made)
    make_camera(made).close()


def test_a_station_without_such_a_camera_loads_no_such_driver() -> None:
    code = "import sys, edge.daemon; sys.exit(any(m.startswith('edge.capture.') and 'gige' in m for m in sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
