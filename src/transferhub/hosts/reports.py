"""What runs left in the state folder of this machine."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from transferhub.hosts.locks import is_held
from transferhub.model.transfer import RunId


class ReportFolder:
    """Reports below a folder, one folder a run. The disk is waited for in another thread."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "runs"

    async def written(self) -> Sequence[tuple[RunId, datetime]]:
        return await asyncio.to_thread(self._written)

    async def remove(self, run: RunId) -> bool:
        return await asyncio.to_thread(self._remove, self._folder / run)

    def _written(self) -> Sequence[tuple[RunId, datetime]]:
        if not self._folder.is_dir():
            return []
        folders = [path for path in self._folder.iterdir() if path.is_dir()]
        return [(RunId(path.name), _written_at(path)) for path in sorted(folders)]

    def _remove(self, folder: Path) -> bool:
        if is_held(folder / "lock"):
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()


def _written_at(folder: Path) -> datetime:
    newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    return datetime.fromtimestamp(newest, UTC)
