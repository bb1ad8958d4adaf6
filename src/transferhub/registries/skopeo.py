"""`Skopeo`: carries images from registry to registry with the program of that name."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from transferhub.errors import CorruptError, RunError, StoreError, TransientError, UnsupportedError
from transferhub.registries.base import Login
from transferhub.registries.manifest import Digest, Platform, is_digest
from transferhub.registries.requests import RegistryConfig
from transferhub.registries.skopeo_errors import Place, failure
from transferhub.registries.skopeo_folder import (
    private_folder,
    write_certificates,
    write_login,
    writing,
)
from transferhub.registries.skopeo_log import SkopeoLog

OLDEST = (1, 6)
"""The first that can keep digests."""

_INSTALL = (
    "apt-get install skopeo (Debian, Ubuntu), dnf install skopeo (Fedora, RHEL),"
    " brew install skopeo (macOS)"
)
_VERSION = re.compile(r"skopeo version (\d+(?:\.\d+)+)")
_VERSION_PATIENCE = timedelta(seconds=30)
_PIECE_BYTES = 65_536
_PASSED_ON = frozenset({"PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "no_proxy", "NO_PROXY"})
"""The only variables that skopeo is given of ours: many others hold secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """skopeo on this machine.

    Attributes:
        leash: a command that has the program killed when this process dies; empty where the
            machine has none.
    """

    path: Path
    version: str
    leash: tuple[str, ...] = ()


async def find_skopeo(environment: Mapping[str, str]) -> Program:
    """Looks on the environment's PATH.

    Raises:
        RunError: code "no_skopeo": it is missing, does not run, or is too old.
    """
    folders = environment.get("PATH", "")
    found = shutil.which("skopeo", path=folders) if folders else None
    if found is None:
        raise _no_skopeo("skopeo, which carries images, is not on PATH")
    told = await _version_line(found, environment)
    said = _VERSION.search(told)
    if said is None:
        raise _no_skopeo(f"{found} does not run as skopeo does")
    if tuple(int(part) for part in said[1].split(".")) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise _no_skopeo(f"{found} is version {said[1]}, and {oldest} or newer is needed")
    return Program(path=Path(found), version=said[1], leash=_leash(folders))


def _no_skopeo(what: str) -> RunError:
    return RunError(f"{what}; install it: {_INSTALL}.", code="no_skopeo")


async def _version_line(program: str, environment: Mapping[str, str]) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "--version",
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=DEVNULL,
            env=_passed_on(environment),
            process_group=0,
        )
    except OSError:
        return ""
    async with _ended(process):
        with suppress(TimeoutError):
            async with asyncio.timeout(_VERSION_PATIENCE.total_seconds()):
                told, _ = await process.communicate()
                return told.decode(errors="replace")
    return ""


def _leash(folders: str) -> tuple[str, ...]:
    # Of util-linux; the kernel's signal is the only thing that also follows a kill -9.
    setpriv = shutil.which("setpriv", path=folders)
    return () if setpriv is None else (setpriv, "--pdeathsig", "KILL", "--")


def _passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name in _PASSED_ON}


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A repository of a registry, and who asks there; without a login, as anybody."""

    registry: RegistryConfig
    repository: str
    login: Login | None = None

    def place(self, reference: str) -> Place:
        return Place(
            host=self.registry.host,
            repository=self.repository,
            reference=reference,
            anonymous=self.login is None,
        )

    def written(self, reference: str) -> str:
        mark = "@" if is_digest(reference) else ":"
        return f"docker://{self.registry.host}/{self.repository}{mark}{reference}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carriage:
    """An image to copy.

    Attributes:
        digest: what to copy, whatever a tag of the source is by now.
        reference: the tag or digest at which the destination gets it.
        platform: of an index, copy the image for this one alone; its digest is another. None: copy
            all of it.
    """

    source: End
    digest: Digest
    destination: End
    reference: str
    platform: Platform | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a copy did, as far as skopeo told; a blob is in one of the three at most.

    Attributes:
        digest: of the manifest that was written.
        mounted: blobs that the destination took over from another of its repositories.
        present: blobs that the destination's repository had.
    """

    digest: Digest
    uploaded: frozenset[Digest]
    mounted: frozenset[Digest]
    present: frozenset[Digest]


class Skopeo:
    """Runs `skopeo copy`, once for each call and as often at once as it is called.

    It never sees the person's own logins and settings: neither those of Docker and Podman nor the
    machine's mirrors, lookaside stores and signature policy, since the plan was made without them.
    Only what lies in /etc/containers/registries.conf.d no option keeps it from reading.
    Secrets are in private files alone, but for a proxy's password, which it takes from its
    environment and from nowhere else.

    Args:
        folder: for its private files, and for nothing else.
        cache: remembers which repositories hold which blobs, so that later copies mount them; may
            be shared by processes.
        environment: PATH, the system's certificates and hosts without a proxy are taken from it.
    """

    def __init__(
        self, program: Program, *, folder: Path, cache: Path, environment: Mapping[str, str]
    ) -> None:
        self._program = program
        self._folder = folder
        self._cache = cache
        self._environment = _passed_on(environment)

    async def copy(self, carriage: Carriage, *, time_limit: timedelta) -> Carried:
        """Copies an image with every blob that the destination lacks. Idempotent.

        No process and no file is left when it ends, is cancelled, or the limit has passed.

        Raises:
            StoreError: it failed. What was uploaded until then need not be again.
        """
        with private_folder(self._folder) as private:
            with writing(private):
                self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
                _furnish(private, carriage)
            log = SkopeoLog()
            status = await self._run(carriage, private, log, time_limit)
            if status != 0:
                raise self._failure(carriage, log, status)
            digest = _digest_in(private)
        return _carried(carriage, digest, log)

    async def _run(
        self, carriage: Carriage, private: Path, log: SkopeoLog, time_limit: timedelta
    ) -> int:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._program.leash,
                *_command(self._program, private, carriage),
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=PIPE,
                cwd=private,
                env={**self._variables(private), **_proxies(carriage, self._environment)},
                process_group=0,
            )
        except OSError as error:
            raise _no_skopeo(f"{self._program.path} cannot be run ({error.strerror})") from error
        async with _ended(process):
            try:
                async with asyncio.timeout(time_limit.total_seconds()):
                    await _follow(process, log)
                    return await process.wait()
            except TimeoutError as error:
                raise _late(carriage, time_limit) from error

    def _variables(self, private: Path) -> dict[str, str]:
        return {
            **self._environment,
            "HOME": str(private),
            "TMPDIR": str(private),
            "XDG_RUNTIME_DIR": str(private),
            "XDG_CONFIG_HOME": str(private),
            # The cache of blobs is below it, but only for those who are not root.
            "XDG_DATA_HOME": str(self._cache),
            "_CONTAINERS_ROOTLESS_UID": str(os.geteuid() or 1),
            "CONTAINERS_REGISTRIES_CONF": os.devnull,
        }

    def _failure(self, carriage: Carriage, log: SkopeoLog, status: int) -> StoreError:
        masked = _mask(carriage)
        log.fatal, log.other = masked(log.fatal), masked(log.other)
        return failure(
            carriage.source.place(carriage.digest),
            carriage.destination.place(carriage.reference),
            log,
            status,
        )


def _proxies(carriage: Carriage, environment: Mapping[str, str]) -> dict[str, str]:
    """Raises UnsupportedError for two different ones: skopeo knows one."""
    ends = [carriage.source.registry, carriage.destination.registry]
    proxies = {end.transport.proxy for end in ends} - {""}
    if len(proxies) > 1:
        raise UnsupportedError(
            f"Copying from {ends[0].host} to {ends[1].host} would take two proxies, and skopeo can"
            " use one: let both registries be reached through the same one, or one of them without."
        )
    if not proxies:
        return {}
    (proxy,) = proxies
    direct = [end.host for end in ends if not end.transport.proxy]
    excepted = [environment.get("NO_PROXY") or environment.get("no_proxy") or "", *direct]
    return {
        "HTTP_PROXY": proxy,
        "HTTPS_PROXY": proxy,
        "NO_PROXY": ",".join(filter(None, excepted)),
        "no_proxy": "",
    }


def _furnish(private: Path, carriage: Carriage) -> None:
    for side, end in (("source", carriage.source), ("destination", carriage.destination)):
        write_login(private / f"{side}.json", end.registry.host, end.login)
        write_certificates(private / f"{side}-certificates", end.registry.transport)


def _command(program: Program, private: Path, carriage: Carriage) -> list[str]:
    ends = (("src", "source", carriage.source), ("dest", "destination", carriage.destination))
    return [
        str(program.path),
        # Its debug log alone tells blobs apart.
        "--debug",
        "--insecure-policy",
        # Neither this folder nor those of certificates need be there.
        f"--registries.d={private / 'none'}",
        f"--tmpdir={private}",
        *_platform(carriage.platform),
        "copy",
        *(["--all"] if carriage.platform is None else []),
        "--preserve-digests",
        "--retry-times=0",
        f"--digestfile={private / 'digest'}",
        *(
            option
            for prefix, side, end in ends
            for option in (
                f"--{prefix}-authfile={private / side}.json",
                f"--{prefix}-cert-dir={private / side}-certificates",
                f"--{prefix}-tls-verify={'false' if end.registry.plain_http else 'true'}",
            )
        ),
        "--",
        carriage.source.written(carriage.digest),
        carriage.destination.written(carriage.reference),
    ]


def _platform(platform: Platform | None) -> list[str]:
    if platform is None:
        return []
    chosen = [f"--override-os={platform.os}", f"--override-arch={platform.architecture}"]
    return [*chosen, f"--override-variant={platform.variant}"] if platform.variant else chosen


async def _follow(process: Process, log: SkopeoLog) -> None:
    assert process.stderr is not None
    while piece := await process.stderr.read(_PIECE_BYTES):
        log.feed(piece)
    log.end()


@asynccontextmanager
async def _ended(process: Process) -> AsyncIterator[None]:
    """The process, and all that it started, is gone after the scope."""
    try:
        yield
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        # Also closes the pipes, at once after a kill.
        await asyncio.shield(process.communicate())


def _late(carriage: Carriage, time_limit: timedelta) -> TransientError:
    source, destination = carriage.source, carriage.destination
    return TransientError(
        f"Copying {source.repository}@{carriage.digest} from {source.registry.host} to"
        f" {destination.repository} at {destination.registry.host} was ended after"
        f" {time_limit.total_seconds():g} seconds: allow more time, or see what slows it down.",
        code="timeout",
    )


def _digest_in(private: Path) -> Digest:
    """What was written; "" where that was not told."""
    try:
        return Digest((private / "digest").read_text().strip())
    except OSError:
        return Digest("")


def _carried(carriage: Carriage, digest: Digest, log: SkopeoLog) -> Carried:
    if not digest or (carriage.platform is None and digest != carriage.digest):
        raise CorruptError(
            f"Copying {carriage.source.repository}@{carriage.digest} from"
            f" {carriage.source.registry.host} wrote the digest {digest or 'of nothing'}; it is"
            " copied again."
        )
    return Carried(
        digest=digest,
        uploaded=frozenset(log.uploaded),
        mounted=frozenset(log.mounted),
        present=frozenset(log.present),
    )


_PASSWORD = re.compile(r"//[^/@\s]*:([^/@\s]+)@")


def _mask(carriage: Carriage) -> Callable[[str], str]:
    """Takes every secret that skopeo was given out of its words."""
    ends = (carriage.source, carriage.destination)
    secrets = {
        secret
        for end in ends
        if end.login is not None
        for secret in (end.login.password, end.login.identity_token)
    }
    secrets |= {found for end in ends for found in _PASSWORD.findall(end.registry.transport.proxy)}

    def masked(text: str) -> str:
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    return masked
