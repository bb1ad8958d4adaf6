"""The table that says which programs can use the others."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table, Text

from transferhub.state.sql.schema import metadata

# One row. See `revision.COMPATIBLE_SINCE`.
compatibility = Table(
    "compatibility",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("since", Text, nullable=False),
)
