"""Takes secrets out of text before it is shown or kept."""

from __future__ import annotations

import os
import re

_NAMES = re.compile(r"(?:SECRET|TOKEN|PASSWORD|VAULT_KEY)(?!.*_FILE$)", re.IGNORECASE)
SHORTEST = 8
"""Shorter ones are words, which would be taken out of every sentence."""


def masked(text: str) -> str:
    """The text without secrets that the environment holds."""
    for name, value in os.environ.items():
        if _NAMES.search(name) and len(value) >= SHORTEST:
            text = text.replace(value, "***")
    return text
