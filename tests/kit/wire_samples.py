"""One good example of everything that travels."""

from outboxes import AT, EPOCH, STATION

from cloud_sync.wire.messages import (
    BLOCK_BYTES,
    CommandMessage,
    DriftMessage,
    DriftSigns,
    FileAck,
    FileFin,
    FileInit,
    HealthMessage,
    Job,
    JobState,
    StateMessage,
    Want,
    WireMessage,
)
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.records import (
    DetectionRecord,
    FeedbackRecord,
    LossRecord,
    ModelRecord,
    ProposalRecord,
    SampleRecord,
    canonical_json,
)

DIGEST = "ab" * 32

MESSAGES: dict[str, WireMessage] = {
    "state.v1.json": StateMessage(state="online", epoch=EPOCH, next_seq=7, version="0.1.0", at=AT),
    "health.v1.json": HealthMessage(
        at=AT,
        epoch=EPOCH,
        ready=False,
        faults={"disk": "only 3 % free"},
        alarms={},
        outbox={"inspections": 3},
        dead_letters=0,
        losses=0,
        uploads=2,
        spool_bytes=12345,
        disk_free_bytes=10**10,
        kit=DIGEST,
    ),
    "command.v1.json": CommandMessage(command="new-epoch", epoch=EPOCH),
    "file-init.v1.json": FileInit(
        file=DIGEST, size_bytes=100_000, media_type="image/png", kind="image", epoch=EPOCH, seq=3, camera="top"
    ),
    "file-fin.v1.json": FileFin(file=DIGEST, size_bytes=100_000),
    "file-ack.v1.json": FileAck(file=DIGEST, ranges=[(0, BLOCK_BYTES)], error="the hash is another"),
    "want.v1.json": Want(name="cells-v7.tar", offset=BLOCK_BYTES, count=4),
    "job.v1.json": Job(job="r-7", kind="release", name="cells-v7.tar", size_bytes=10**6, sha256=DIGEST),
    "drift.v1.json": DriftMessage(
        at=AT,
        epoch=EPOCH,
        model={"cell": DIGEST},
        signs=[
            DriftSigns(
                product="cell",
                camera="top",
                sign="brightness",
                alarm=True,
                statistic=9.5,
                limit=8.0,
                parts=1200,
                since=AT,
            )
        ],
    ),
    "job-state.v1.json": JobState(job="r-7", state="downloading", at=AT),
}


def feedback(seq: int) -> OutboxRow:
    record = FeedbackRecord(
        station=STATION,
        epoch=EPOCH,
        seq=seq,
        part_id=f"part-{seq}",
        inspection_epoch=EPOCH,
        inspection_seq=seq,
        verdict="REJECT",
        is_right=False,
        label="Staub",
        note="nur Schmutz",
        by="a.müller",
        at=AT,
    )
    return OutboxRow(Stream.FEEDBACK, seq, canonical_json(record), EPOCH)


def loss(seq: int) -> OutboxRow:
    record = LossRecord(
        station=STATION,
        epoch=EPOCH,
        seq=seq,
        stream="outcomes",
        of_epoch=EPOCH,
        ranges=[(1, 3), (7, 7)],
        records=4,
        verdicts={"PASS": 3, "REJECT": 1},
        why="the disk was full",
        at=AT,
    )
    return OutboxRow(Stream.LOSSES, seq, canonical_json(record), EPOCH)


def proposal(version: int, score: float) -> ProposalRecord:
    return ProposalRecord(
        model=ModelRecord(id="cells", version=version, sha256=DIGEST, precision="INT8"),
        verdict="PASS" if score < 0.5 else "REJECT",
        score=score,
        detections=[DetectionRecord(box_xyxy=[1.0, 2.0, 30.5, 40.0], score=score, label="Kratzer")],
    )


def sample(seq: int) -> OutboxRow:
    record = SampleRecord(
        station=STATION,
        epoch=EPOCH,
        seq=seq,
        part_id=f"part-{seq}",
        inspection_epoch=EPOCH,
        inspection_seq=seq,
        product="cell",
        camera="top",
        reasons=["disagreement", "uncertain"],
        champion=proposal(1, 0.46),
        challenger=proposal(2, 0.62),
        at=AT,
    )
    return OutboxRow(Stream.SAMPLES, seq, canonical_json(record), EPOCH)
