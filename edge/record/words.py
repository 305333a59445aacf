"""Which inspection each word of a person is of, so that it is found from there: a row beside each feedback record."""

import sqlite3

from cloud_sync.wire.records import FeedbackRecord

TABLE = """
CREATE TABLE IF NOT EXISTS words (
    inspection_seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    is_right INTEGER NOT NULL,
    PRIMARY KEY (inspection_seq, number)
) WITHOUT ROWID;
"""
_SAID = "CAST(payload AS TEXT)"


def note_word(connection: sqlite3.Connection, said: FeedbackRecord) -> None:
    """Write the row of a word; for the inside of a transaction."""
    connection.execute("INSERT INTO words VALUES (?, ?, ?)", (said.inspection_seq, said.seq, said.is_right))


def catch_up_words(connection: sqlite3.Connection) -> None:
    """Rows for the words that an earlier version wrote, and none for those that were let go of; reads words alone."""
    gone = "NOT EXISTS (SELECT 1 FROM records WHERE stream = 'feedback' AND seq = words.number)"
    connection.execute(f"DELETE FROM words WHERE {gone}")  # noqa: S608 - our own text
    connection.execute(
        "INSERT OR IGNORE INTO words"  # noqa: S608 - our own text
        f" SELECT json_extract({_SAID}, '$.inspection_seq'), seq, json_extract({_SAID}, '$.is_right')"
        f" FROM records WHERE stream = 'feedback' AND json_valid({_SAID})"
    )
