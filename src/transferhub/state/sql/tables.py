"""Every table: each schema module adds its own to the one `metadata`."""

from transferhub.state.sql import people_schema, schema

__all__ = ["metadata", "people_schema"]

metadata = schema.metadata
