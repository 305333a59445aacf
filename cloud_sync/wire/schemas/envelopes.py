"""The schemas of what no model stands for: a batch of records, and the acknowledgement of records."""

from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import EPOCH_PATTERN, SEQ_LIMIT
from cloud_sync.wire.topics import STATION_PATTERN

RECORDS = {
    Stream.LOSSES: "loss.v1.json",
    Stream.INSPECTIONS: "inspection.v1.json",
    Stream.OUTCOMES: "outcome.v1.json",
    Stream.IMAGES: "images.v1.json",
    Stream.FEEDBACK: "feedback.v1.json",
    Stream.SAMPLES: "sample.v1.json",
}

_EPOCH = {"type": "string", "pattern": EPOCH_PATTERN}


def batch_schema() -> dict[str, object]:
    """Of a batch, which holds records of one stream, by the names of CloudEvents."""
    names = {
        "specversion": {"const": "1.0"},
        "id": {
            "description": "The first 32 hex digits of the sha256 of the records' bytes, a comma between two.",
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
        },
        "source": {"type": "string", "pattern": f"^inspectd/{STATION_PATTERN}$"},
        "type": {"enum": [f"inspectd.{stream}.v1" for stream in RECORDS]},
        "time": {"type": "string", "format": "date-time"},
        "data": {"type": "object"},
    }
    return {
        "title": "Batch",
        "description": "Records of one stream, each as canonical JSON: sorted keys, no spaces, UTF-8. At most 64 KiB.",
        "type": "object",
        "required": list(names),
        "properties": names,
        "oneOf": [_of_stream(stream, schema) for stream, schema in RECORDS.items()],
    }


def ack_schema() -> dict[str, object]:
    """Of the collector's word that it has committed records."""
    bound = {"type": "integer", "minimum": 1, "maximum": SEQ_LIMIT}
    pairs = {"type": "array", "items": {"type": "array", "items": bound, "minItems": 2, "maxItems": 2}}
    return {
        "title": "Ack",
        "description": "The collector has committed these [first, last] of a stream: the station may delete them. "
        "Of the quarantined ones it held others: the station begins a new epoch.",
        "type": "object",
        "required": ["stream", "epoch", "ranges"],
        "properties": {
            "stream": {"enum": [stream.value for stream in RECORDS]},
            "epoch": _EPOCH,
            "ranges": pairs,
            "quarantined": pairs,
        },
    }


def _of_stream(stream: Stream, schema: str) -> dict[str, object]:
    records = {"type": "array", "minItems": 1, "items": {"$ref": schema}}
    data = {
        "type": "object",
        "required": ["stream", "epoch", "records"],
        "properties": {"stream": {"const": stream.value}, "epoch": _EPOCH, "records": records},
    }
    return {"properties": {"type": {"const": f"inspectd.{stream}.v1"}, "data": data}}
