"""Frozen values and states; imports the standard library, pydantic and `errors` only."""
