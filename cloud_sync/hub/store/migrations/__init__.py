"""The store's schema, step by step, from its first version to the newest; alembic runs the steps.

A step's revision is its schema version in four digits. A step that was released is never changed: a new one follows it.
"""
