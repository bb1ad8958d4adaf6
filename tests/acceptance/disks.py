"""Disks with little room."""

import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A small file system of its own, mounted at `folder`."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self, *, but: int) -> None:
        """Takes all room but so many bytes."""
        status = os.statvfs(self.folder)
        self._ballast.write_bytes(bytes(status.f_bavail * status.f_frsize - but))

    def free(self) -> None:
        """Gives back what `fill` took."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, size: int, *options: str) -> Iterator[Disk]:
    """Mounts a disk of `size` bytes; takes the rights to do so."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = ",".join([f"size={size}", *options])
    _run("mount", "-t", "tmpfs", "-o", flags, "tmpfs", folder)
    try:
        yield Disk(folder=folder)
    finally:
        _run("umount", "--lazy", folder)


@cache
def can_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder), 65536):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No process that is started inside can write a larger file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True)
