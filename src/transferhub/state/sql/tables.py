"""Every table: each schema module adds its own to the one `metadata`."""

from transferhub.state.sql import (
    event_schema,
    history_schema,
    hub_schema,
    notice_schema,
    people_schema,
    schema,
    upkeep_schema,
)

__all__ = [
    "event_schema",
    "history_schema",
    "hub_schema",
    "metadata",
    "notice_schema",
    "people_schema",
    "upkeep_schema",
]

metadata = schema.metadata
