"""What the triggers weigh, out of the store."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from cloud_sync.hub.labels.facts import DriftAlarm, drift_alarms, images_by_class, never_trained, overrule_facts
from cloud_sync.hub.labels.truths import UNSURE
from cloud_sync.hub.retraining.cloud_toml import ProductSection
from cloud_sync.hub.retraining.runs import Run, Runs, history_of, seen
from cloud_sync.hub.retraining.triggers import ProductFacts, Weighed, weigh, weigh_by_hand


def weighed(runs: Runs, product: ProductSection, now_ms: int, *, by_hand: bool = False) -> Weighed:
    """Which trigger of a product fires now, and what each of the others waits for. Raises StoreError."""
    past = runs.of(product.id)
    with runs.reading() as connection:
        facts = product_facts(connection, product.id, past)
    decide = weigh_by_hand if by_hand else weigh
    return decide(product.triggers.rules, facts, history_of(past, now_ms), now_ms)


def product_facts(
    connection: sa.Connection, product: str, past: Sequence[Run], total: Mapping[str, int] | None = None
) -> ProductFacts:
    """What happened since the last training of a product.

    Before the first one no class is new: all are.

    Args:
        connection: to the store.
        product: its id.
        past: its runs, newest first.
        total: its images by class where they were counted already: that looks at every label. Raises SQLAlchemyError.
    """
    since_seq, known = seen(past)
    total = images_by_class(connection, product) if total is None else total
    new = images_by_class(connection, product, since_seq)
    overrules = overrule_facts(connection, product, past[0].started_at_ms if past else 0)
    return ProductFacts(
        labels=sum(total.values()) - total.get(UNSURE, 0),
        new_labels=sum(new.values()) - new.get(UNSURE, 0),
        new_classes=never_trained(total, known) if known else (),
        drifting=tuple(map(_said, drift_alarms(connection, product))),
        judged=overrules.looked_at,
        overruled=overrules.wrong,
    )


def _said(alarm: DriftAlarm) -> str:
    return f"{alarm.station} {alarm.camera} {alarm.sign}"
