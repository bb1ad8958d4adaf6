"""How large DynamoDB takes an item to be, from its JSON.

Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats"
(CapacityUnitCalculations.html).
"""

from collections.abc import Mapping
from typing import Any

Wire = Mapping[str, Mapping[str, Any]]
"""An item as requests and answers have it."""

_NESTING, _MEMBER = 3, 1


def item_size(item: Wire) -> int:
    """Names and values, in bytes."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Mapping[str, Any]) -> int:
    kind, held = next(iter(value.items()))
    match kind:
        case "S":
            return len(held.encode())
        case "B":
            return len(held) // 4 * 3 - str(held[-2:]).count("=")
        case "N":
            return _number_size(held)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS" | "BS":
            return sum(value_size({kind[0]: member}) for member in held)
        case "L":
            return _NESTING + sum(_MEMBER + value_size(member) for member in held)
        case "M":
            return _NESTING + _MEMBER * len(held) + item_size(held)
    raise ValueError(f"an attribute of an unknown type: {kind}")


def _number_size(text: str) -> int:
    """A byte for two significant digits, and one more; a sign takes another."""
    digits = text.lstrip("-").partition("e")[0].replace(".", "").strip("0")
    return -(-len(digits) // 2) + 1 + text.startswith("-")
