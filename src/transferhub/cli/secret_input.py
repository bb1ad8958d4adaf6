"""Secrets from a terminal, a file or standard input, and never from arguments."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from transferhub.errors import InputError

_LARGEST = 1 << 16


def asked_secret(text: str, *, twice: bool = False) -> str:
    """One secret: a line of standard input, or typed unseen on a terminal.

    Raises:
        InputError: there is none.
    """
    if sys.stdin.isatty():
        return str(click.prompt(text, hide_input=True, confirmation_prompt=twice, err=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise InputError("stdin", f"is empty; it gives the {text.lower()}")
    return line


def read_secret_fields(name: str, field: str) -> Mapping[str, str]:
    """The texts of a JSON object, read as `read_secret_object` does."""
    read = read_secret_object(name, field)
    if not all(isinstance(value, str) for value in read.values()):
        raise InputError(field, 'holds no JSON object with texts, such as {"token": "…"}')
    return read


def read_secret_object(name: str, field: str) -> Mapping[str, Any]:
    """A JSON object in a file, or in standard input where it is named "-".

    Raises:
        InputError: what it holds is repeated nowhere.
    """
    try:
        text = sys.stdin.read(_LARGEST) if name == "-" else Path(name).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(field, f"{name} cannot be read: {reason}") from None
    try:
        read: Any = json.loads(text)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise InputError(field, "holds no JSON object")
    return read
