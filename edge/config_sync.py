"""The sections of station.toml about what is kept, what goes to the cloud, and who may read figures."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from edge.config_outputs import BrokerEndpoint

_PORT_LIMIT = 65535


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _reachable(address: str) -> str:
    port = int(address.rpartition(":")[2])
    if not 1 <= port <= _PORT_LIMIT:  # the system would take it modulo 65536, and nobody would look there
        raise ValueError(f"a port is 1 to {_PORT_LIMIT}")
    return address


class SyncSection(_Section):
    """The way to the cloud; without a broker the station keeps its records and sends nothing."""

    broker: BrokerEndpoint | None = None
    identity: Path | None = None
    trust_root: Path | None = None
    resend_s: Annotated[float, Field(ge=0.1)] = 30
    images: Literal["none", "not_pass", "all"] = "not_pass"
    audit_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    spare_kit: bool = True


class TriageSection(_Section):
    """Which inspections become samples for retraining, and how many an hour; overrules always do.

    And whether drift is watched.
    """

    per_hour: Annotated[int, Field(ge=0, le=100_000)] = 60
    uncertain_within: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    candidate_from: Annotated[float, Field(ge=0, le=1)] = 0.4
    novel_share: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    audit_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    drift: bool = True


class ReleaseSection(_Section):
    """What this station itself asks of a release before and after it decides; what the cloud asks can only add to it.

    An offer is signed by nobody, only the release is: whoever owns the broker must not be able to offer one with
    limits that hold nothing back.
    """

    shadow_parts: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    live_parts: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    disagreement_most: Annotated[float, Field(ge=0, le=1)] = 0.2
    undecided_most: Annotated[float, Field(ge=0, le=1)] = 0.05
    reject_shift_most: Annotated[float, Field(ge=0, le=1)] = 0.2
    escape_most: Annotated[float, Field(ge=0, le=1)] = 0.5
    reject_masters: bool = False
    keep_versions: Annotated[int, Field(ge=0, le=1000)] = 5


class WebSection(_Section):
    """Where `edge web` serves the station's pages; for any address but this machine's own, over TLS alone."""

    listen: Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}$"), AfterValidator(_reachable)] = (
        "127.0.0.1:8080"
    )
    certificate: Path | None = None
    key: Path | None = None
    names: list[str] = []


class RetentionSection(_Section):
    """Which images are kept, how, and the disk that images and records may take."""

    images: Literal["all", "not_pass", "none"] = "all"
    image_format: Literal["jpeg", "png"] = "jpeg"
    quota_bytes: Annotated[int, Field(ge=1_000_000)] = 20_000_000_000
    records_bytes: Annotated[int, Field(ge=8_000_000)] = 10_000_000_000
    free_bytes: Annotated[int, Field(ge=0)] = 1_000_000_000


class MetricsSection(_Section):
    """Figures for Prometheus; without an address none are served."""

    listen: (
        Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}$"), AfterValidator(_reachable)] | None
    ) = None
