"""The station's configuration: whether what it asks for can be built."""

from collections.abc import Iterator

from edge.capture.codes.desk import code_rules
from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok
from edge.domain.errors import ConfigError
from edge.line.outputs.open import make_output
from edge.line.protocol import parse_address


def configuration(around: Around) -> Iterator[Finding]:
    """Whether station.toml is right, as far as nothing need be opened."""
    if around.config_path is None:
        yield ok("station", "station.toml", "none here: the machine alone is looked at")
    elif around.config is None:
        yield fault("station.configuration", "station.toml", around.config_error, option=around.config_option)
    else:
        yield from _buildable(around)


def _buildable(around: Around) -> Iterator[Finding]:
    config = around.config
    assert config is not None  # noqa: S101 - asked before
    try:
        parse_address(config.line.port)
        code_rules(config)
        for output in config.output:
            make_output(output, config.station.id)
    except ConfigError as error:
        yield fault("station.refused", "station.toml", str(error), option=around.config_option)
        return
    parts = (config.camera, "camera"), (config.product, "product"), (config.output, "output")
    counts = ", ".join(f"{len(sections)} {name if len(sections) == 1 else name + 's'}" for sections, name in parts)
    yield ok("station", "station.toml", f"station {config.station.id!r}: {counts}")
