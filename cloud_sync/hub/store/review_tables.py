"""The tables of the review queue.

- `review_claims` says who has which sample on the screen, and until when: nobody else is given it before.
- `review_skips` says what somebody did not want to judge; others are still given it.
- `second_looks` names labelled samples that another reviewer judges without knowing the first word, and both words.
"""

import sqlalchemy as sa

from cloud_sync.hub.store.tables import metadata

review_claims = sa.Table(
    "review_claims",
    metadata,
    sa.Column("sample", sa.String(32), primary_key=True),
    sa.Column("holder", sa.String(128), nullable=False),  # a person's name and their page's mark
    sa.Column("until_ms", sa.BigInteger, nullable=False),
)

review_skips = sa.Table(
    "review_skips",
    metadata,
    sa.Column("said_by", sa.String(128), primary_key=True),
    sa.Column("sample", sa.String(32), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)

second_looks = sa.Table(
    "second_looks",
    metadata,
    sa.Column("sample", sa.String(32), primary_key=True),
    sa.Column("product", sa.String(128), nullable=False),
    sa.Column("first_by", sa.String(128), nullable=False),
    sa.Column("first_seen", sa.BigInteger, nullable=False),  # the label that the first reviewer had before them
    sa.Column("first_name", sa.String(128), nullable=False),  # good, unsure, or the class
    sa.Column("asked_at_ms", sa.BigInteger, nullable=False),
    sa.Column("second_by", sa.String(128)),
    sa.Column("second_name", sa.String(128)),
    sa.Column("second_said", sa.Text),  # all of it, as JSON: what agrees becomes no label
    sa.Column("second_at_ms", sa.BigInteger),
    sa.Index("second_looks_asked", "product", "second_by", "asked_at_ms"),
    sa.Index("second_looks_given", "product", "second_at_ms"),
)

ALL: tuple[sa.Table, ...] = (review_claims, review_skips, second_looks)
