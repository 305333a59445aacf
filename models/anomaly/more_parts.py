"""How many more good parts would tighten what is proven of the overkill rate, in words. Pure."""

from dataclasses import dataclass

from models.anomaly.dealing import frames_for
from models.anomaly.threshold import ThresholdProof, parts_at, parts_needed


@dataclass(frozen=True, slots=True)
class MoreParts:
    """What it takes to prove a rate.

    Args:
        rate: the true overkill rate shall be at most this.
        parts: held-out good parts in all; none of them above the threshold, or no more than lie above it now.
        more: beyond those that were held out this time; 0 where these would do.
        frames: good frames in all, no two of one part, of which so many would be held out.
        within_reach: False where more parts do not help, because too many of these are rejected already.
    """

    rate: float
    parts: int
    more: int
    frames: int
    within_reach: bool = True

    @property
    def text(self) -> str:
        """One sentence."""
        if not self.within_reach:
            return f"more parts alone will hardly prove {self.rate:.2%}: a larger share of these is rejected already"
        if not self.more:
            return (
                f"{self.rate:.2%} could be proven by these parts with a higher threshold, which lets more defects "
                f"pass: calibrate with --overkill {self.rate:.4f}"
            )
        return f"{self.rate:.2%} needs {self.more} more held-out good parts, {self.parts} in all"


def tightening(proof: ThresholdProof) -> tuple[MoreParts, ...]:
    """For the target where it is not met, and for half of what is proven now."""
    rates = [] if proof.meets_target else [proof.target_rate]
    return tuple(_needed(proof, rate) for rate in dict.fromkeys([*rates, proof.proven_rate / 2]))


def one_more(proof: ThresholdProof) -> MoreParts | None:
    """What lets one more held-out part lie above the threshold, which falls by that; None where it stays or is high.

    The target is met either way; a lower threshold lets fewer defects pass.
    """
    if proof.fixed or not proof.meets_target:
        return None
    parts = parts_at(proof.rejected + 1, proof.target_rate, proof.confidence)
    return MoreParts(proof.target_rate, parts, parts - proof.held_out, frames_for(parts))


def _needed(proof: ThresholdProof, rate: float) -> MoreParts:
    """A threshold that is fixed keeps the parts above it; one that is chosen anew may leave none there."""
    rejected = proof.rejected if proof.fixed else 0
    within_reach = rejected < rate * proof.held_out or not rejected
    parts = parts_at(rejected, rate, proof.confidence) if rejected else parts_needed(rate, proof.confidence)
    frames = parts if proof.fixed else frames_for(parts)
    return MoreParts(rate, parts, max(0, parts - proof.held_out), frames, within_reach)
