"""Every table: each schema module adds its own to the one `metadata`."""

from transferhub.state.sql import hub_schema, people_schema, schema

__all__ = ["hub_schema", "metadata", "people_schema"]

metadata = schema.metadata
