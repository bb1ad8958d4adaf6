"""What runs of the bill transfer: listings without objects, and a replication without stores."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from random import Random
from uuid import UUID

from transferhub.engine.compare import CompareMode, Comparison
from transferhub.engine.finder import Finder, Scan, ScanRecord
from transferhub.engine.listing import Side
from transferhub.engine.merge import Everything
from transferhub.engine.replication import Copied, PartPlan
from transferhub.engine.retry import FATAL_CODES
from transferhub.engine.tuning import Tuning
from transferhub.errors import TransferHubError
from transferhub.model.objects import ListPage, ObjectEntry
from transferhub.model.transfer import Part, RunId, Transfer, Upload
from transferhub.stores.base import PAGE_KEYS
from transferhub.stores.memory import MemoryStore

_SIZE = 10 << 10
PART_BYTES = 8 << 20
_SINCE = datetime(2024, 1, 1, tzinfo=UTC)
_YEAR_S = 365 * 24 * 3600
_MONTHS = 12


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def tidy(count: int) -> list[ObjectEntry]:
    """Names that programs give, by month, each object of 10 KiB. Etags are MD5s."""
    random = Random(count)
    return [
        ObjectEntry(
            f"data/2024/{1 + number * _MONTHS // count:02}/file-{number:06}.bin",
            _SIZE,
            random.randbytes(16).hex(),
            _SINCE + timedelta(seconds=number * _YEAR_S // count),
            "STANDARD",
        )
        for number in range(count)
    ]


def scattered(count: int) -> list[ObjectEntry]:
    """Names by chance, sizes and times by chance. Etags are MD5s."""
    random = Random(count)
    keys = sorted(f"objects/{UUID(bytes=random.randbytes(16))}.bin" for _ in range(count))
    return [
        ObjectEntry(
            key,
            random.randrange(_SIZE // 2, _SIZE * 3 // 2),
            random.randbytes(16).hex(),
            _SINCE + timedelta(seconds=random.randrange(_YEAR_S)),
            "STANDARD",
        )
        for key in keys
    ]


def in_parts(parts: int) -> list[ObjectEntry]:
    """One object of so many parts."""
    etag = f"{Random(parts).randbytes(16).hex()}-{parts}"
    return [ObjectEntry("archive/2024/backup.tar", parts * PART_BYTES, etag, _SINCE, "STANDARD")]


class Listed(MemoryStore):
    """Lists entries that it does not have."""

    def __init__(self, entries: Sequence[ObjectEntry]) -> None:
        super().__init__()
        self._entries = entries
        self._keys = [entry.key for entry in entries]

    async def list(
        self, prefix: str = "", *, start_after: str = "", token: str = "", limit: int = PAGE_KEYS
    ) -> ListPage:
        begin = bisect_right(self._keys, token or start_after)
        page = [*self._entries[begin : begin + limit]]
        more = begin + limit < len(self._entries)
        return ListPage(entries=page, next_token=page[-1].key if more else "")


@dataclass(slots=True, kw_only=True)
class Paced:
    """A Replication whose copies and parts end at a steady pace, and move nothing.

    Args:
        per_second: over all that is under way.
        entries: to find.
    """

    per_second: float
    entries: Sequence[ObjectEntry] = ()
    _next: float = 0.0
    fatal_codes = FATAL_CODES

    async def check(self) -> None: ...

    async def find(
        self, run: RunId, record: ScanRecord, spool: Path, talk: Callable[[str], None]
    ) -> None:
        source, destination = Listed(self.entries), MemoryStore()
        scan = Scan(
            source=Side(store=source, base=""),
            destination=Side(store=destination, base=""),
            prefixes=[""],
            comparison=Comparison(CompareMode.SIZE, source, destination),
            selection=Everything(),
            spool=spool,
            listers=Tuning().listers,
        )
        await Finder(run, record, scan, talk=talk).find()

    async def plan(self, transfer: Transfer) -> PartPlan | None:
        if transfer.size <= PART_BYTES:
            return None
        starts = range(0, transfer.size, PART_BYTES)
        parts = [
            Part(number, start, min(PART_BYTES, transfer.size - start))
            for number, start in enumerate(starts, 1)
        ]
        return PartPlan(key=transfer.key, parts=parts)

    def weight(self, transfer: Transfer) -> int:
        return 0

    async def copy(self, transfer: Transfer) -> Copied:
        await self._turn()
        return Copied(moved_bytes=transfer.size, etag=transfer.etag)

    async def begin(self, transfer: Transfer, intent: Upload) -> Upload | Copied:
        return intent._replace(upload_id=_md5(transfer.key) * 4)

    async def copy_part(self, transfer: Transfer, upload: Upload, part: Part) -> Part:
        await self._turn()
        return part._replace(etag=_md5(str(part.number)))

    def finish_weight(self, transfer: Transfer, parts: Sequence[Part]) -> int:
        return 0

    async def finish(self, transfer: Transfer, upload: Upload, parts: Sequence[Part]) -> Copied:
        return Copied(moved_bytes=transfer.size, etag=transfer.etag)

    async def abort(self, upload: Upload) -> None: ...

    async def delete(self, transfers: Sequence[Transfer]) -> Mapping[str, TransferHubError]:
        return {}

    async def refresh(self, transfer: Transfer) -> Transfer | None:
        return transfer

    async def aclose(self) -> None: ...

    async def _turn(self) -> None:
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now) + 1 / self.per_second
        await asyncio.sleep(self._next - now)
