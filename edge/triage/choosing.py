"""Which views become samples: by rules and budget, written through the recorder. For the desk's thread."""

from contextlib import closing
from datetime import UTC, datetime

from edge.decide.novelty import Novelty
from edge.decide.triage import WINDOW_MINUTES, Budget, reasons_of
from edge.domain.errors import StorageError
from edge.domain.inspection import Committed, View
from edge.domain.sample import SampleReason
from edge.record.database import open_reader
from edge.record.recorder import Recorder
from edge.record.sample_rows import charged_since
from edge.record.samples import Chosen, minute_of, proposal_of
from edge.triage.looks import Looks
from edge.triage.settings import Thresholds, TriageCounts, TriageSettings


class SampleKeeper:
    """Keeps samples within the budget of an hour, that of an earlier run counted.

    Args:
        settings: what is worth it, and how much.
        recorder: where samples go.
        thresholds: the recipes'.
        counts: of what was kept and refused.
    """

    def __init__(
        self, settings: TriageSettings, recorder: Recorder, thresholds: Thresholds, counts: TriageCounts
    ) -> None:
        self._settings = settings
        self._recorder = recorder
        self._thresholds = thresholds
        self._counts = counts
        self._budget = Budget(settings.rules.per_hour)
        self._novelty = {pair: Novelty(settings.novel_share) for pair in settings.pairs}

    def remember(self) -> None:
        """Take over what the last hour kept. Raises StorageError, sqlite3.Error."""
        since = minute_of(datetime.now(UTC)) - WINDOW_MINUTES
        with closing(open_reader(self._recorder.path)) as reader:
            self._budget.kept.update(charged_since(reader, since))

    def consider(self, committed: Committed, view: View, looks: Looks | None, *, kept: bool) -> bool:
        """Look at one view; True where it became a sample. Raises StorageError.

        Args:
            committed: the inspection.
            view: one of its views.
            looks: what was measured of its frame; None where that was not possible.
            kept: whether its image stays; where not, nobody could label it.
        """
        product = committed.inspection.part.product
        memory = self._novelty.get((product, view.camera_id))
        is_novel = memory is not None and looks is not None and memory.sees(looks.description)
        if not kept or view.frame is None:
            return False
        thresholds, identity = self._thresholds(product, view.camera_id), committed.inspection_id
        reasons = reasons_of(view, thresholds, self._settings.rules, identity, is_novel=is_novel)
        return bool(reasons) and self.keep(committed, view.camera_id, reasons, view)

    def keep(
        self,
        committed: Committed,
        camera_id: str,
        reasons: tuple[SampleReason, ...],
        champion: View,
        challenger: View | None = None,
    ) -> bool:
        """Make a view a sample where the budget has room; True where it became one. Raises StorageError."""
        now = datetime.now(UTC)
        charged = self._budget.charge(reasons, minute_of(now))
        if charged is None:
            self._counts.refused.update(reasons)
            return False
        second = None if challenger is None else proposal_of(challenger)
        chosen = Chosen(committed.seq, camera_id, reasons, now, proposal_of(champion), second, charged)
        try:
            record = self._recorder.record_sample(chosen)
        except StorageError:
            self._budget.give_back(charged, chosen.minute)
            raise
        if record is None:  # all of it was told before, or its inspection is gone
            self._budget.give_back(charged, chosen.minute)
            return False
        self._counts.kept.update(SampleReason(reason) for reason in record.reasons)
        return True
