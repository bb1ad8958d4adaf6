"""Secrets that are handed out once, of which only a digest is kept."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256

NewSecret = Callable[[], str]
"""Gives a new secret of at least 256 random bits, fit for URLs and headers."""


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """A plain hash is enough: nobody guesses 256 random bits."""
    return sha256(secret.encode(errors="surrogatepass")).hexdigest()
