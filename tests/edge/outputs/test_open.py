"""A driver's library is loaded where it is configured, and a missing one says what to install."""

import subprocess
import sys
from pathlib import Path

import pytest
from outputs_kit import GPIO, section
from plc_kit import PlcProcess

from edge.config_outputs import OutputSection
from edge.domain.errors import ConfigError
from edge.line.outputs.open import make_output

LIBRARIES = ("pymodbus", "asyncua", "gpiod")
SECTIONS = {
    "modbus": PlcProcess(Path(), 502).section(),
    "opcua": "[[output]]\nid = 'ua'\nkind = 'opcua'\n",
    "gpio": GPIO,
}


@pytest.mark.parametrize(
    ("output", "library", "extra"),
    [
        pytest.param(section(SECTIONS["modbus"]), "pymodbus", "modbus", id="modbus"),
        pytest.param(section(SECTIONS["opcua"]), "asyncua", "opcua", id="opcua"),
        pytest.param(section(SECTIONS["gpio"]), "gpiod", "gpio", id="gpio"),
    ],
)
def test_a_missing_library_is_a_configuration_error_that_names_the_extra(
    output: OutputSection, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"needs {library}: pip install 'inspectd\[{extra}\]'"):
        make_output(output, "s-1")


def test_a_station_without_outputs_loads_none_of_their_libraries() -> None:
    text = f"import sys, edge.daemon; sys.exit(str([name for name in {LIBRARIES!r} if name in sys.modules] or ''))"
    done = subprocess.run([sys.executable, "-c", text], check=False, capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == ""
