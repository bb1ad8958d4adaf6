"""Which keys were seen already, in bounded memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from types import TracebackType
from typing import Self

_DIGEST_BYTES = 16
_CACHE_KIB = 32 << 10


class SeenKeys:
    """A set of keys (by 128-bit digest) that moves to a temporary file as it grows."""

    def __init__(self) -> None:
        # An empty name is SQLite's temporary database: in memory up to its cache, then on disk.
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._rows.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, keys: Sequence[str]) -> list[str]:
        """Those of `keys` that were not there, each once, in their order."""
        digests: dict[bytes, str] = {}
        for key in keys:
            digests.setdefault(blake2b(key.encode(), digest_size=_DIGEST_BYTES).digest(), key)
        known = self._known(list(digests))
        fresh = {digest: key for digest, key in digests.items() if digest not in known}
        self._rows.execute("BEGIN")
        self._rows.executemany(
            "INSERT INTO seen VALUES (?)", [(digest,) for digest in sorted(fresh)]
        )
        self._rows.execute("COMMIT")
        return list(fresh.values())

    def _known(self, digests: list[bytes]) -> set[bytes]:
        marks = ",".join("?" * len(digests))
        rows = self._rows.execute(
            f"SELECT digest FROM seen WHERE digest IN ({marks})",  # noqa: S608 - marks only
            digests,
        )
        return {digest for (digest,) in rows}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._rows.close()
