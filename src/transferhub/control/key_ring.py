"""Where the vault's keys come from: a file that only its owner reads, or a given value."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from transferhub.errors import VaultError

_KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SPARED = 2
_HEAD = "# Keys of the credentials in this hub, the present one first. Keep a copy apart.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of AES-256; its id tells nothing of it."""

    ident: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: bytes) -> Key:
        return cls(ident=sha256(b"key id:" + secret).hexdigest()[:12], secret=secret)


class KeyRing(Protocol):
    """The keys that there are; what is sealed now is sealed with the first."""

    def keys(self) -> Sequence[Key]:
        """[] where there are none yet.

        Raises:
            VaultError: they cannot be read, or others may read them.
        """

    def make(self) -> None:
        """Makes the first key where there is none; of many makers one does.

        Raises:
            VaultError
        """

    def add(self) -> None:
        """Puts a new key in front.

        Raises:
            VaultError: the keys are given.
        """

    def keep(self, idents: Collection[str]) -> None:
        """Forgets all but these and the first two: a writer may just be using the second."""


class KeyFile:
    """A key ring in a file of mode 0600. It is replaced whole, so a crash leaves the old or the
    new one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keys(self) -> Sequence[Key]:
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & _OTHERS:
                    raise VaultError(
                        f"{self._path} may be read by others: run `chmod 600` on it, and rotate "
                        "the key if they may have read it."
                    )
                text = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise VaultError(f"{self._path} cannot be read: {error.strerror}.") from error
        keys = parse_keys(text.decode(errors="replace").splitlines())
        if not keys:
            raise VaultError(f"{self._path} holds no keys: put its copy back.")
        return keys

    def make(self) -> None:
        with self._alone():
            if not self.keys():
                self._write([_new_key()])

    def add(self) -> None:
        with self._alone():
            self._write([_new_key(), *self.keys()])

    def keep(self, idents: Collection[str]) -> None:
        with self._alone():
            keys = self.keys()
            kept = [key for at, key in enumerate(keys) if at < _SPARED or key.ident in idents]
            if kept != keys:
                self._write(kept)

    def _write(self, keys: Sequence[Key]) -> None:
        lines = "".join(f"{b64encode(key.secret).decode()}\n" for key in keys)
        path = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(_HEAD + lines)
            file.flush()
            os.fsync(descriptor)
        path.replace(self._path)
        self._sync_folder()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process changes the file meanwhile."""
        try:
            lock = os.open(
                self._path.with_name(f"{self._path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600
            )
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)
        except OSError as error:
            raise VaultError(f"{self._path} cannot be written: {error.strerror}.") from error


class GivenKeys:
    """A key ring that was given as a value: keys in Base64, with commas between them."""

    def __init__(self, value: str) -> None:
        """Raises VaultError where it holds no keys."""
        self._keys = parse_keys(value.split(","))
        if not self._keys:
            raise VaultError("The given key of the credentials is empty.")

    def keys(self) -> Sequence[Key]:
        return self._keys

    def make(self) -> None:
        return

    def add(self) -> None:
        if len(self._keys) == 1:
            raise VaultError(
                "The key is given: put a new one and a comma in front of it, start with both, "
                "rotate, and then leave the old one out."
            )

    def keep(self, idents: Collection[str]) -> None:
        return


def parse_keys(lines: Sequence[str]) -> Sequence[Key]:
    """Keys in Base64; empty lines and comments are passed over.

    Raises:
        VaultError: one of them is no key. The message does not quote it.
    """
    texts = [line.strip() for line in lines]
    return [_parse_key(text) for text in texts if text and not text.startswith("#")]


def _parse_key(text: str) -> Key:
    try:
        secret = b64decode(text, validate=True)
    except ValueError:
        secret = b""
    if len(secret) != _KEY_BYTES:
        raise VaultError(f"A key of the credentials is not {_KEY_BYTES} bytes in Base64.") from None
    return Key.of(secret)


def _new_key() -> Key:
    return Key.of(secrets.token_bytes(_KEY_BYTES))
