"""The three simulated cameras that the genicam package carries: a ball that bounces, red, green and blue."""

from importlib.util import find_spec
from pathlib import Path


def viky_producer() -> Path:
    """Their GenTL producer."""
    spec = find_spec("genicam")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("viky.cti")
