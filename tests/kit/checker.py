"""The proof that nothing is lost and nothing is there twice: simulator log, station and cloud, joined record by record.

- The identity is (station, epoch, stream, seq); the content is the sha256 of a record's bytes, taken anew here and
  compared with what each side says of it.
- Both sides are read in the order of their identities and walked side by side, so that millions of records fit.
- What a record is excused by is counted: quarantine, dead letters of either end, a tombstone, pruning.
- Pure: `checker_sources` reads. It shares no code with what the product compares by.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from edge.demo.compare import Told

FINDINGS_KEPT = 100
NUMBERED = ("inspections", "outcomes")  # numbered without holes: a number that is nowhere is a loss
Place = tuple[str, str, int]  # epoch, stream, seq


class Kind(StrEnum):
    """What can be wrong."""

    TOLD_TWICE = "a part was told twice"
    TOLD_UNRECORDED = "PASS or REJECT was told without a record"
    TOLD_LOST = "what was told is in no record"
    TOLD_OTHER_CONTENT = "what was told is of another content than its record"
    TOLD_OTHER_VERDICT = "another verdict was told than is on record"
    TOLD_UNHEARD = "an outcome says told, the line never heard it"
    DAMAGED = "bytes do not hash to what stands beside them"
    MISFILED = "a record lies under another identity than its own"
    LOST = "a record of the station is not in the cloud"
    WAITING = "a record still waits for its acknowledgement"
    OTHER_CONTENT = "station and cloud hold different bytes"
    TWICE = "the cloud holds an identity twice"
    FOREIGN = "the cloud holds a record that the station never made"
    HOLE = "a number was given and no record of it is anywhere"
    TOMBSTONE = "a tombstone counts wrong"


@dataclass(frozen=True, slots=True)
class Row:
    """One record as one side holds it; `digest` is what stands beside the bytes there."""

    place: Place
    digest: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """What else both ends know.

    Args:
        station: its id.
        epochs: every epoch that the station's database began.
        high: the highest inspection number that was given.
        waiting: records still in the outbox.
        buried: records in the station's dead letters.
        quarantined: content hashes in the cloud's quarantine, by identity.
        dead: content hashes of the cloud's dead letters.
        prunes: whether the station may have deleted what was acknowledged.
    """

    station: str
    epochs: frozenset[str]
    high: int
    waiting: frozenset[Place] = frozenset()
    buried: frozenset[Place] = frozenset()
    quarantined: Mapping[Place, frozenset[str]] = field(default_factory=dict)
    dead: frozenset[str] = frozenset()
    prunes: bool = False


@dataclass(slots=True, repr=False)
class Report:
    """What was found: `wrong` counts each kind, `findings` names the first of them, `tally` counts what is in order."""

    wrong: Counter[Kind] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def add(self, kind: Kind, what: object) -> None:
        """Something is wrong."""
        self.wrong[kind] += 1
        if len(self.findings) < FINDINGS_KEPT:
            self.findings.append(f"{kind}: {what}")

    def __repr__(self) -> str:
        return "\n".join([f"{dict(self.wrong)} {dict(self.tally)}", *self.findings])


def join(facts: Facts, station: Iterable[Row], cloud: Iterable[Row], told: Iterable[Told] | None) -> Report:
    """Walk both sides, each in ascending order of place; `told` is the simulator's log, None where there was none."""
    check = _Join(facts, None if told is None else list(told))
    for mine, theirs in _side_by_side(station, cloud, check.report):
        check.take(mine, theirs)
    check.conclude()
    return check.report


def digest_of(payload: bytes) -> str:
    """The content hash, taken here anew."""
    return sha256(payload).hexdigest()


class _Join:
    def __init__(self, facts: Facts, told: list[Told] | None) -> None:
        self.report = Report()
        self._facts = facts
        self._prefix = f"{facts.station}/"
        self._heard = None if told is None else {each.part_id: each for each in told}
        self._awaited = {each.inspection_id: each for each in told or [] if each.inspection_id}
        self._seen = {stream: bytearray(facts.high + 1) for stream in NUMBERED}
        self._lost: list[Place] = []
        self._tombstones: list[dict[str, object]] = []
        self._note_told(told or [])

    def take(self, mine: Row | None, theirs: Row | None) -> None:
        """One identity, as the station and as the cloud hold it."""
        for row in (mine, theirs):
            if row is not None:
                self._examine(row)
        if mine is None and theirs is not None:
            self._take_cloud_only(theirs)
        elif mine is not None and theirs is None:
            self._take_station_only(mine)
        elif mine is not None and theirs is not None:
            self._compare(mine, theirs)
        self._read(mine or theirs)

    def conclude(self) -> None:
        """Whatever can be said once all was seen: tombstones, losses, holes, verdicts that nobody holds."""
        buried = self._excused_by_tombstones()
        for place in self._lost:
            if place in buried:
                self.report.tally["tombstoned"] += 1
            else:
                self.report.add(Kind.LOST, place)
        for identity in self._awaited:
            epoch, seq = identity.removeprefix(self._prefix).split("/")
            if (epoch, "inspections", int(seq)) not in buried:
                self.report.add(Kind.TOLD_LOST, identity)
        numbers = {(stream, seq) for _, stream, seq in buried}
        for stream, seen in self._seen.items():
            for seq in range(1, self._facts.high + 1):
                if not seen[seq] and (stream, seq) not in numbers:
                    self.report.add(Kind.HOLE, (stream, seq))

    def _note_told(self, told: list[Told]) -> None:
        self.report.tally["told"] = len(told)
        for part_id, times in Counter(each.part_id for each in told).items():
            if times > 1:
                self.report.add(Kind.TOLD_TWICE, part_id)
        for each in told:
            if each.inspection_id is None:
                self.report.tally["told without record"] += 1
                if each.verdict != "UNDECIDED":
                    self.report.add(Kind.TOLD_UNRECORDED, each.part_id)

    def _examine(self, row: Row) -> None:
        _epoch, stream, seq = row.place
        if digest_of(row.payload) != row.digest:
            self.report.add(Kind.DAMAGED, row.place)
        if stream in self._seen and seq <= self._facts.high:
            self._seen[stream][seq] = 1

    def _take_cloud_only(self, row: Row) -> None:
        epoch, _stream, seq = row.place
        made = epoch in self._facts.epochs and seq <= self._facts.high
        if made and self._facts.prunes:
            self.report.tally["pruned"] += 1
        else:
            self.report.add(Kind.FOREIGN, row.place)

    def _take_station_only(self, row: Row) -> None:
        if row.place in self._facts.waiting:
            self.report.add(Kind.WAITING, row.place)
        elif row.place in self._facts.buried:
            self.report.tally["dead letters of the station"] += 1
        elif row.digest in self._facts.quarantined.get(row.place, ()):
            self.report.tally["quarantined"] += 1
        elif row.digest in self._facts.dead:
            self.report.tally["dead letters of the cloud"] += 1
        else:
            self._lost.append(row.place)

    def _compare(self, mine: Row, theirs: Row) -> None:
        if mine.payload == theirs.payload:
            self.report.tally["equal"] += 1
        elif mine.digest in self._facts.quarantined.get(mine.place, ()):
            self.report.tally["quarantined"] += 1
        else:
            self.report.add(Kind.OTHER_CONTENT, mine.place)
        if mine.place in self._facts.waiting:
            self.report.add(Kind.WAITING, mine.place)

    def _read(self, row: Row | None) -> None:
        """What the record itself says."""
        if row is None:
            return
        content = json.loads(row.payload)
        epoch, stream, seq = row.place
        self.report.tally[stream] += 1
        if (content["station"], content["epoch"], content["seq"]) != (self._facts.station, epoch, seq):
            self.report.add(Kind.MISFILED, row.place)
        if stream == "inspections":
            self._judge_told(row, content)
        elif stream == "outcomes":
            self._judge_outcome(row, content)
        elif stream == "losses":
            self._tombstones.append(content)

    def _judge_told(self, row: Row, content: Mapping[str, object]) -> None:
        epoch, _stream, seq = row.place
        told = self._awaited.pop(f"{self._prefix}{epoch}/{seq}", None)
        if told is None:
            self.report.tally["not told"] += 1
            return
        if told.sha256 != row.digest:
            self.report.add(Kind.TOLD_OTHER_CONTENT, row.place)
        if (told.verdict, told.part_id) != (content["verdict"], content["part_id"]):
            self.report.add(Kind.TOLD_OTHER_VERDICT, row.place)

    def _judge_outcome(self, row: Row, content: Mapping[str, object]) -> None:
        if self._heard is None:
            return
        heard, said = self._heard.get(str(content["part_id"])), content["told_verdict"]
        was_told = content["outcome"] == "told"
        self.report.tally[f"outcome {content['outcome']}"] += 1
        if heard is None and was_told:
            self.report.add(Kind.TOLD_UNHEARD, row.place)
        if heard is not None and said != heard.verdict and (was_told or said is not None):
            self.report.add(Kind.TOLD_OTHER_VERDICT, row.place)

    def _excused_by_tombstones(self) -> set[Place]:
        excused: set[Place] = set()
        for tombstone in self._tombstones:
            named = set(_named(tombstone))
            counted, verdicts = tombstone["records"], tombstone["verdicts"]
            assert isinstance(verdicts, dict)
            of_inspections = tombstone["stream"] == "inspections"
            if counted != len(named) or (of_inspections and sum(verdicts.values()) != counted) or named & excused:
                self.report.add(Kind.TOMBSTONE, tombstone)
            excused |= named
        return excused


def _named(tombstone: Mapping[str, object]) -> Iterator[Place]:
    ranges = tombstone["ranges"]
    assert isinstance(ranges, list)
    for first, last in ranges:
        for seq in range(first, last + 1):
            yield str(tombstone["of_epoch"]), str(tombstone["stream"]), seq


def _side_by_side(
    station: Iterable[Row], cloud: Iterable[Row], report: Report
) -> Iterator[tuple[Row | None, Row | None]]:
    """Rows of one place together, None where a side has none."""
    mine, theirs = iter(station), _once(cloud, report)
    left, right = next(mine, None), next(theirs, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.place < right.place):
            yield left, None
            left = next(mine, None)
        elif left is None or right.place < left.place:
            yield None, right
            right = next(theirs, None)
        else:
            yield left, right
            left, right = next(mine, None), next(theirs, None)


def _once(rows: Iterable[Row], report: Report) -> Iterator[Row]:
    last: Place | None = None
    for row in rows:
        if row.place == last:
            report.add(Kind.TWICE, row.place)
            continue
        last = row.place
        yield row
