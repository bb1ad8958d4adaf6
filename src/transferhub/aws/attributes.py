"""Values of DynamoDB items as Python has them.

Source: Amazon DynamoDB API Reference, AttributeValue.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

Item = dict[str, Any]
"""An item: str, int, float, bool, None, bytes, list, dict, and sets of str by attribute."""


def to_wire(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _to_wire(value) for name, value in item.items()}


def from_wire(item: Mapping[str, Any]) -> Item:
    return {name: _from_wire(value) for name, value in item.items()}


def _to_wire(value: object) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float():
            return {"N": str(value)}
        case bytes():
            return {"B": b64encode(value).decode()}
        case None:
            return {"NULL": True}
        case list() | tuple():
            return {"L": [_to_wire(member) for member in value]}
        case set() | frozenset():
            return {"SS": sorted(value)}
        case Mapping():
            return {"M": to_wire(value)}
    raise TypeError(f"no attribute can hold a {type(value).__name__}")


def _from_wire(value: Mapping[str, Any]) -> object:
    [(kind, held)] = value.items()
    match kind:
        case "S" | "BOOL":
            return held
        case "N":
            return float(held) if any(sign in held for sign in ".eE") else int(held)
        case "B":
            return b64decode(held)
        case "NULL":
            return None
        case "L":
            return [_from_wire(member) for member in held]
        case "SS":
            return set(held)
        case "M":
            return from_wire(held)
    raise TypeError(f"an attribute of an unknown type: {kind}")
