"""The tables of how far each release may go, and how far each station came.

- `rollouts` holds each rollout once, by its release; `attempt` counts how often it was begun.
- `rollout_stations` says what each station was asked for; what it answered stands in `jobs`.
- `rollout_decisions` holds each decision with the facts that it was made on, for good.
- Whoever works on a rollout holds its lease: `worker` until `lease_until_ms`.
"""

import sqlalchemy as sa

from cloud_sync.hub.store.tables import metadata

rollouts = sa.Table(
    "rollouts",
    metadata,
    sa.Column("release", sa.String(128), primary_key=True),
    sa.Column("product", sa.String(64), nullable=False),
    sa.Column("attempt", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # waiting, running, done, stopped
    sa.Column("stage", sa.BigInteger, nullable=False),  # of the plan's stages, from 0
    sa.Column("stage_since_ms", sa.BigInteger, nullable=False),
    sa.Column("why", sa.Text, nullable=False),  # what it waits for, or why it ended
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("made_at_ms", sa.BigInteger, nullable=False),
    sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
    sa.Column("worker", sa.String(64)),
    sa.Column("lease_until_ms", sa.BigInteger),
    sa.Index("rollouts_by_state", "state", "made_at_ms"),
)

rollout_stations = sa.Table(
    "rollout_stations",
    metadata,
    sa.Column("release", sa.String(128), primary_key=True),
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("place", sa.BigInteger, nullable=False),  # whose turn it is; 0 is the canary
    sa.Column("asked", sa.String(16), nullable=False),  # nothing yet, or shadow, live, back
    sa.Column("job", sa.String(64), nullable=False),
    sa.Column("asked_at_ms", sa.BigInteger),
    sa.Column("faults", sa.Text, nullable=False),  # those that it had before it was asked, JSON
    sa.Index("rollout_stations_by_station", "station", "asked_at_ms", "release"),
)

rollout_decisions = sa.Table(
    "rollout_decisions",
    metadata,
    sa.Column("release", sa.String(128), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("attempt", sa.BigInteger, nullable=False),
    sa.Column("stage", sa.String(32), nullable=False),
    sa.Column("what", sa.String(16), nullable=False),  # begin, advance, done, stop, resume
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),  # JSON
)

ALL: tuple[sa.Table, ...] = (rollouts, rollout_stations, rollout_decisions)
