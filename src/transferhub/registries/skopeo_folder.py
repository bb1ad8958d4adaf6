"""The private files of skopeo: logins, certificates, settings."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from transferhub.errors import InputError, StoreError
from transferhub.registries.base import Login
from transferhub.stores.local.faults import mapped
from transferhub.stores.s3.certificates import read_certificates
from transferhub.stores.s3.transport import TransportConfig

_PREFIX = "run-"
_LOCK = "lock"


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A new folder that its owner alone may enter, removed at the end of the scope.

    Those that a killed process left in `parent` are removed first: they may hold secrets.

    Raises:
        StoreError: it cannot be made.
    """
    with ExitStack() as scope:
        with writing(parent):
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            sweep(parent)
            new = Path(tempfile.mkdtemp(prefix="new-", dir=parent))
            scope.callback(shutil.rmtree, new, ignore_errors=True)
            folder = parent / f"{_PREFIX}{new.name}"
            # The kernel lets go of it when this process ends, however it ends.
            lock = scope.enter_context((new / _LOCK).open("wb"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Only now: a sweep takes what is there and not locked for left behind.
            new.rename(folder)
            scope.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def writing(folder: Path) -> AbstractContextManager[None]:
    """Maps every OSError that leaves the block."""
    return mapped("Writing skopeo's private files in", str(folder))


def sweep(parent: Path) -> None:
    """Removes what killed processes left in `parent`; leaves alone what others use."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def write_login(path: Path, host: str, login: Login | None) -> None:
    """Writes what skopeo takes as `--authfile`; without a login it asks as anybody."""
    entries: dict[str, dict[str, str]] = {}
    if login is not None:
        pair = f"{login.user}:{login.password}"
        entries[host] = {"auth": base64.b64encode(pair.encode()).decode()}
        if login.identity_token:
            entries[host]["identitytoken"] = login.identity_token
    _write(path, json.dumps({"auths": entries}).encode())


def write_certificates(folder: Path, transport: TransportConfig) -> None:
    """Makes what skopeo takes as `--cert-dir`: whom to trust beside whom the system trusts. Where
    that is nobody, there is no folder.

    Raises:
        StoreError: the CA bundle cannot be used.
    """
    try:
        certificates = read_certificates(transport)
    except InputError as error:
        raise StoreError(f"{error.message}.", code="tls") from error
    if certificates:
        folder.mkdir(mode=0o700)
        _write(folder / "ca.crt", b"\n".join([*certificates, b""]))


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
