"""What travels beside the records: a station's state and health, files, releases by blocks, commands.

None of these is counted: a word of state replaces the last one, bytes of a file are named by file and offset.
"""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.records import SEQ_LIMIT, Epoch, Items, Name, Sha256
from cloud_sync.wire.strict_json import loads

BLOCK_BYTES = 32 * 1024  # a file travels in pieces of this size, the last one shorter
FILE_LIMIT_BYTES = 2 * 1024**3
BLOCKS_PER_WANT = 16
METADATA_MARK = "tuf."  # names that begin so are of signed metadata, and of no release
_REASON_SHOWN = 300

Count = Annotated[int, Field(ge=0, le=SEQ_LIMIT)]
FileSize = Annotated[int, Field(ge=1, le=FILE_LIMIT_BYTES)]
ReleaseName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$")]  # a file's name, never a path
JobId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class WireMessage(BaseModel):
    """A JSON message that is no record. Its versions follow the rules of records: see there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def unpack(cls, payload: bytes) -> Self:
        """The message in the bytes, members that a later version added left out. Raises LinkError on anything else."""
        loads(payload, unambiguous=True)  # our limits on JSON hold here too
        try:
            return cls.model_validate_json(payload, strict=True, extra="ignore")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(step) for step in first["loc"]) or "message"
            raise LinkError(f"expected {cls.__name__}, got {where}: {first['msg']}"[:_REASON_SHOWN]) from error

    def pack(self) -> bytes:
        """The message as bytes."""
        return self.model_dump_json(by_alias=True).encode()


class StateMessage(WireMessage):
    """`up/state`, retained: whether a station is online. The last will says offline and no more.

    `next_seq` is the number that the next inspection will have: where the cloud holds a greater one of this epoch, the
    station's database was restored, and the cloud commands a new epoch.
    """

    schema_: Literal["inspectd.state.v1"] = Field("inspectd.state.v1", alias="schema")
    state: Literal["online", "offline"]
    epoch: Epoch | None = None
    next_seq: Annotated[int, Field(ge=1, le=SEQ_LIMIT)] | None = None
    version: Annotated[str, Field(max_length=64)] = ""
    at: datetime | None = None


class HealthMessage(WireMessage):
    """`up/health`, once a minute: how a station is. Counts are since its database was made, gauges are of now.

    `kit` names the manifest of what would make another machine this station; it and all its files are in the cloud.
    """

    schema_: Literal["inspectd.health.v1"] = Field("inspectd.health.v1", alias="schema")
    at: datetime
    epoch: Epoch
    ready: bool
    faults: dict[Name, Annotated[str, Field(max_length=300)]]
    alarms: dict[Name, Annotated[str, Field(max_length=300)]]
    outbox: dict[Name, Count]
    dead_letters: Count
    losses: Count
    uploads: Count
    spool_bytes: Count
    disk_free_bytes: Count
    kit: Sha256 | None = None


class DriftSigns(BaseModel):
    """What one product shows to one camera, or is told by people, beside how it was when the model was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product: Name
    camera: Annotated[str, Field(max_length=128)] = ""
    sign: Literal["score", "brightness", "focus", "overrule"]
    alarm: bool
    statistic: float
    limit: float
    parts: Count
    since: datetime | None = None


class DriftMessage(WireMessage):
    """`up/drift`, at each change and at each connection: every sign that is watched, with what was measured."""

    schema_: Literal["inspectd.drift.v1"] = Field("inspectd.drift.v1", alias="schema")
    at: datetime
    epoch: Epoch
    model: dict[Name, Sha256] = {}
    signs: Annotated[Items[DriftSigns], Field(max_length=256)]


class CommandMessage(WireMessage):
    """`down/command`: begin a new epoch if this one is still the current one."""

    schema_: Literal["inspectd.command.v1"] = Field("inspectd.command.v1", alias="schema")
    command: Literal["new-epoch"]
    epoch: Epoch


class FileInit(WireMessage):
    """`up/file/{id}/init`: a station has this file, and asks which bytes of it are there; the id is its sha256.

    A file that belongs to the station itself is of its kit; then `epoch` and `seq` only say how far it had counted.
    """

    schema_: Literal["inspectd.file-init.v1"] = Field("inspectd.file-init.v1", alias="schema")
    file: Sha256
    size_bytes: FileSize
    media_type: Name
    kind: Literal["image"]
    epoch: Epoch
    seq: Annotated[int, Field(ge=1, le=SEQ_LIMIT)]
    camera: Name
    belongs_to: Literal["inspection", "station"] = "inspection"


class FileFin(WireMessage):
    """`up/file/{id}/fin`: all bytes were sent."""

    schema_: Literal["inspectd.file-fin.v1"] = Field("inspectd.file-fin.v1", alias="schema")
    file: Sha256
    size_bytes: FileSize


class FileAck(WireMessage):
    """`down/file-ack`: the bytes that are committed, as ascending [first, end); `complete`: hash checked, stored.

    With an `error` the file is refused for good: it is not what its name says, or no file of ours.
    """

    schema_: Literal["inspectd.file-ack.v1"] = Field("inspectd.file-ack.v1", alias="schema")
    file: Sha256
    ranges: Items[tuple[Count, Count]]
    complete: bool = False
    error: Annotated[str, Field(max_length=300)] | None = None


class Want(WireMessage):
    """`up/want`: send `count` blocks of a release, from the byte `offset` on, a multiple of the block size.

    A name that begins with `tuf.` is of the signed metadata (`tuf.timestamp.json`, `tuf.3.root.json`): its blocks come
    in the same way, the first one that is shorter than a block is the last, and an empty first one says there is none.
    """

    name: ReleaseName
    offset: Annotated[int, Field(ge=0, le=FILE_LIMIT_BYTES, multiple_of=BLOCK_BYTES)]
    count: Annotated[int, Field(ge=1, le=BLOCKS_PER_WANT)]


class Probation(BaseModel):
    """What a station itself holds a release against, in shadow and for a while after it went live.

    `escape_most`: of the parts that the model in use rejects, the share that the release may pass. It is a gate of its
    own, for where few parts are bad, whatever passes them all disagrees on few.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    disagreement_most: Annotated[float, Field(ge=0, le=1)] = 0.05
    undecided_most: Annotated[float, Field(ge=0, le=1)] = 0.01
    reject_shift_most: Annotated[float, Field(ge=0, le=1)] = 0.1
    escape_most: Annotated[float, Field(ge=0, le=1)] = 0.5


Stage = Literal["fetch", "shadow", "live", "back"]


class Job(WireMessage):
    """`down/job`, retained: a release is offered. Its blocks come as raw bytes on `down/block/{name}/{number}`.

    `stage` is how far the station shall take it: fetch it and no more; let it look at every frame beside the model that
    decides; let it decide; go back to the model before it. The same job with another stage is the same job, further on.
    What is to be more than fetched must be a target of the signed metadata.
    """

    schema_: Literal["inspectd.job.v1"] = Field("inspectd.job.v1", alias="schema")
    job: JobId
    kind: Literal["release"]
    name: ReleaseName
    size_bytes: FileSize
    sha256: Sha256
    stage: Stage = "fetch"
    probation: Probation | None = None

    def is_same(self, other: "Job") -> bool:
        """Whether both are one offer, whatever they ask for."""
        mine, others = ((one.job, one.name, one.size_bytes, one.sha256) for one in (self, other))
        return mine == others


class JobState(WireMessage):
    """`up/job/{id}`: how far a station came with what it was offered, at each change, and now and then in between.

    Of a file that is only fetched, `verified` is the end. `selftest`: signature checked, it runs its own frames in a
    process apart. `shadow`, `live`: see `Job`. `back`: it decided and does no more. `rejected`: never, and why.
    `figures` count parts since the stage began (`parts`, `skipped`, `disagreements`, `undecided`, `rejects` ...).
    """

    schema_: Literal["inspectd.job-state.v1"] = Field("inspectd.job-state.v1", alias="schema")
    job: JobId
    state: Literal["offered", "downloading", "verified", "selftest", "shadow", "live", "back", "rejected"]
    why: Annotated[str, Field(max_length=300)] = ""
    at: datetime
    figures: Annotated[dict[Name, float], Field(max_length=64)] = {}
