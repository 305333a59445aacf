"""How the good parts lie beside each other; where that is asked for, laid on a reference before anything is learned."""

from dataclasses import dataclass, replace

from edge.calibrate.frames.collect import MISALIGNED, Collected, Refusal, pixel_digest
from edge.calibrate.report.facts import ExtraSection, Slot
from edge.calibrate.request import CalibrationRequest
from models.anomaly.dealing import FRAMES_MIN
from models.anomaly.layout import Layout, Worth, survey
from models.anomaly.layout_page import section
from models.anomaly.threshold import evidence_against, prove
from models.evaluate import clopper_pearson
from models.pose import Pose
from models.progress import Progress
from models.scoring import read_image
from models.spec import InputSpec


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """The frames that may teach, and how they lie; None where they are too few to say.

    Args:
        collected: without those that cannot be laid on the reference, where that is asked for.
        layout: of all of them.
        aligned: whether frames are laid on the reference.
    """

    collected: Collected
    layout: Layout | None
    aligned: bool

    def pose(self, spec: InputSpec) -> Pose | None:
        """What lays frames on the reference. Raises RequestError where the parts cannot be laid on each other."""
        return self.layout.pose(spec) if self.layout is not None and self.aligned else None

    @property
    def key(self) -> str:
        """Names the reference and the limits that frames are laid by; empty where they are not."""
        if self.layout is None or not self.aligned:
            return ""
        return f"{pixel_digest(self.layout.reference)} {self.layout.judgement.limits}"

    @property
    def advice(self) -> str:
        """A sentence where it would be worth it and was not asked for; else empty."""
        if self.layout is None or self.aligned or self.layout.judgement.worth is not Worth.NEEDED:
            return ""
        return self.layout.judgement.why

    def sections(self) -> tuple[ExtraSection, ...]:
        """The report's part."""
        if self.layout is None:
            return ()
        page = section(self.layout, aligned=self.aligned)
        unproven = tuple(filter(None, (self._undecided() if self.aligned else self.advice,)))
        return (ExtraSection(Slot.POSE, "How the parts lie", page, self.layout.as_json(), unproven),)

    @property
    def missed(self) -> int:
        """Good frames that cannot be laid on the reference."""
        return self.collected.misaligned

    def against(self, target: tuple[float, float]) -> str:
        """Why a bundle that lays frames so must not become active; empty where nothing speaks against it.

        Args:
            target: overkill rate and confidence.
        """
        if not self.aligned or not self.missed:
            return ""
        proof = prove(self.missed + len(self.collected.frames), self.missed, *target)
        return f"too many good parts cannot be laid on the reference: {proof}." if evidence_against(proof) else ""

    def _undecided(self) -> str:
        """Good parts that do not lie on the reference are UNDECIDED at the station, beside those that it rejects."""
        missed = self.missed
        rate = clopper_pearson(missed, missed + len(self.collected.frames))
        return (
            f"{missed} of {missed + len(self.collected.frames)} good frames cannot be laid on the reference: up to "
            f"{rate.high:.1%} of good parts will be UNDECIDED, which comes on top of the overkill rate. What of a part "
            "lies outside its picture is not seen: the reference stands there. Parts must lie whole in the picture."
        )


def lay(request: CalibrationRequest, collected: Collected, progress: Progress) -> Laid:
    """Look how good parts lie, and leave out what cannot be laid on the others, where that is asked for.

    Raises:
        ModelError: the product's own picture cannot be read.
    """
    if len(collected.frames) < FRAMES_MIN:
        return Laid(collected, None, request.align)
    progress.stage("how parts lie", len(collected.frames))
    golden = None if request.section.reference is None else read_image(request.section.reference)
    layout = survey([frame.path for frame in collected.frames], golden, progress.advance)
    if not request.align:
        return Laid(collected, layout, aligned=False)
    missed = {path: f"{MISALIGNED}: {why}" for path, why in layout.misfits}
    refused = [Refusal(path.name, why) for path, why in missed.items()]
    kept = tuple(frame for frame in collected.frames if frame.path not in missed)
    told = tuple(sorted([*collected.refused, *refused], key=lambda refusal: refusal.name))
    return Laid(replace(collected, frames=kept, refused=told), layout, aligned=True)
