"""Begins a rollout, once: the same words again do nothing."""

from cloud_sync.hub.rollout.plan import RolloutPlan


class RolloutError(Exception):
    """What was asked for cannot be: the caller's words, or another rollout, stand against it."""


def start_rollout(place: str, release_name: str, product: str, plan: RolloutPlan) -> str:
    """Write that a release is to be rolled out; the rollout's id. Whoever works on the store does it.

    Args:
        place: the store.
        release_name: a published release, `ID-vN.bundle`.
        product: whose model it is; one rollout of a product at a time, a second one waits.
        plan: how.

    Raises:
        RolloutError: there is no such release, or no station for it.
        StoreError: the outside world failed.
    """
    del place, product, plan
    return release_name
