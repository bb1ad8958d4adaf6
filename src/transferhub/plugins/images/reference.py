"""References to images, as people write them and as registries know them.

    reference  := [host "/"] repository [":" tag] ["@" digest]

The grammar is that of the OCI distribution specification. As in Docker, the first component is a
host where it holds a dot or a colon, or is `localhost`; else the registry is docker.io, whose
repositories of one component lie in `library/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from transferhub.errors import InputError

DOCKER_HUB: Final = "docker.io"
DOCKER_HUB_SERVER: Final = "registry-1.docker.io"
OFFICIAL: Final = "library/"
"""What Docker Hub's repositories of one component lie in."""

LATEST: Final = "latest"
MAX_NAME_BYTES: Final = 255
"""Of host and repository with the slash between them: clients, skopeo among them, take no more."""
MAX_TAG_LENGTH: Final = 128

_DOCKER_HUB_NAMES = frozenset({"index.docker.io", DOCKER_HUB_SERVER, "registry.hub.docker.com"})
_DIGEST_DIGITS = {"sha256": 64, "sha512": 128}

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{MAX_TAG_LENGTH - 1}}}", re.ASCII)
_HOST = re.compile(rf"(?P<name>{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>[0-9]+))?", re.ASCII)
_HOST_6 = re.compile(r"\[(?P<name>[0-9A-Fa-f:.]+)\](?::(?P<port>[0-9]+))?", re.ASCII)
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
_MAX_PORT = 65_535
_SHOWN = 80


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """An image, or with neither tag nor digest a repository. Made by `parse_reference`, whose
    reading of `str(reference)` is the reference again.

    Attributes:
        host: with its port, in small letters; "docker.io" for Docker Hub by any of its names.
        tag, digest: "" where there is none. With both, the digest says which image, and the tag
            what it is called.
    """

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def server(self) -> str:
        """The host that answers for `host`."""
        return DOCKER_HUB_SERVER if self.host == DOCKER_HUB else self.host

    @property
    def name(self) -> str:
        """The repository as people write it after its host."""
        return familiar_name(self.host, self.repository)

    @property
    def manifest(self) -> str:
        """What a registry is asked for: the digest, or else the tag; "" of a repository."""
        return self.digest or self.tag

    @property
    def within(self) -> Reference:
        """Its repository."""
        return replace(self, tag="", digest="")

    def tagged(self, tag: str) -> Reference:
        return replace(self, tag=tag, digest="")

    def pinned(self, digest: str) -> Reference:
        return replace(self, tag="", digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def parse_reference(text: str, *, field: str, host: str = "", prefix: str = "") -> Reference:
    """The reference that `text` writes; a tag that it does not write is not made up.

    Args:
        host: of the registry that `text` is read in, as `parse_host` gives it: the reference may
            write it or leave it out, and must not write another one. "" takes any, docker.io where
            none is written.
        prefix: stands before the repository where the reference leaves `host` out; with its slash.

    Raises:
        InputError: one sentence, with what to write.
    """
    if not text:
        raise InputError(field, "is empty; write an image such as nginx:1.27")
    rest, tag, digest = _split(text, field)
    written, repository = _split_host(rest)
    if written:
        written = parse_host(written, field=field)
        if host and written != host:
            raise InputError(
                field,
                f"{_shown(text)} names the registry {written}, and the source is {host}; leave the"
                " host out, or make it a task of its own",
            )
    elif host:
        repository = f"{prefix}{repository}"
    found = written or host or DOCKER_HUB
    if found == DOCKER_HUB and "/" not in repository:
        repository = f"{OFFICIAL}{repository}"
    check_repository(repository, field=field, host=found, text=text)
    return Reference(found, repository, tag, digest)


def parse_host(text: str, *, field: str) -> str:
    """A registry's host with its port, in one way of writing it.

    Raises:
        InputError: one sentence, with what to write.
    """
    scheme = _SCHEME.match(text)
    if scheme:
        raise InputError(
            field, f"{_shown(text)}: write the host without {scheme[0]}, such as ghcr.io"
        )
    match = _HOST_6.fullmatch(text) or _HOST.fullmatch(text)
    if match is None:
        raise InputError(
            field,
            f"{_shown(text)} is no host; write one such as ghcr.io, registry:5000 or [::1]:5000",
        )
    name = match["name"].lower()
    if text.startswith("["):
        try:
            name = f"[{IPv6Address(name).compressed}]"
        except AddressValueError:
            raise InputError(field, f"{_shown(text)} is no IPv6 address with its port") from None
    if not _is_host(text):
        raise InputError(
            field, f"{_shown(text)} could be a repository; write a host with its port: {name}:443"
        )
    if name in _DOCKER_HUB_NAMES and not match["port"]:
        return DOCKER_HUB
    if not match["port"]:
        return name
    port = int(match["port"][:6])
    if not 0 < port <= _MAX_PORT:
        raise InputError(field, f"{_shown(text)}: a port is a number from 1 to {_MAX_PORT}")
    return f"{name}:{int(match['port'])}"


def check_repository(repository: str, *, field: str, host: str = "", text: str = "") -> None:
    """Raises InputError where no registry can have a repository of this name.

    Args:
        text: what people wrote, if it is more than the repository.
    """
    shown = _shown(text or repository)
    if not repository:
        raise InputError(field, f"{shown} names no repository; write one such as ghcr.io/team/app")
    if _REPOSITORY.fullmatch(repository) is None:
        raise InputError(field, f"{shown}: {_repository_fault(repository)}")
    length = len(f"{host}/{repository}" if host else repository)
    if length > MAX_NAME_BYTES:
        raise InputError(
            field,
            f"{shown}: host and repository have {length} characters; there may be at most"
            f" {MAX_NAME_BYTES}",
        )


def check_tag(tag: str, *, field: str, text: str = "") -> None:
    """Raises InputError where no image can have this tag."""
    if _TAG.fullmatch(tag) is not None:
        return
    shown = _shown(text or tag)
    if not tag:
        raise InputError(field, f"{shown} ends in a colon; write a tag after it, such as :latest")
    if len(tag) > MAX_TAG_LENGTH:
        raise InputError(
            field, f"{shown}: the tag has {len(tag)} characters, more than {MAX_TAG_LENGTH}"
        )
    raise InputError(
        field,
        f"{shown}: the tag {_shown(tag)} may hold letters, digits, _, . and -, and starts with a"
        " letter, a digit or _",
    )


def check_digest(digest: str, *, field: str, text: str = "") -> None:
    """Raises InputError where this is no digest that can be verified."""
    algorithm, colon, value = digest.partition(":")
    digits = _DIGEST_DIGITS.get(algorithm)
    shown = _shown(text or digest)
    if not colon or not digits:
        raise InputError(
            field,
            f"{shown}: {_shown(digest)} is no digest; write sha256: and 64 hexadecimal digits"
            " (sha512 is known too)",
        )
    if len(value) != digits or _HEX.fullmatch(value) is None:
        raise InputError(field, f"{shown}: a {algorithm} digest has {digits} digits of 0-9 and a-f")


def familiar_name(host: str, repository: str) -> str:
    """A repository as people write it after its host: docker.io's `library/` is implied."""
    name = repository.removeprefix(OFFICIAL)
    return name if host == DOCKER_HUB and "/" not in name else repository


def _split(text: str, field: str) -> tuple[str, str, str]:
    """What stands before tag and digest, and these."""
    scheme = _SCHEME.match(text)
    if scheme:
        raise InputError(
            field, f"{_shown(text)}: write the image without {scheme[0]}, such as ghcr.io/app:1"
        )
    rest, at, digest = text.partition("@")
    if at:
        check_digest(digest, field=field, text=text)
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag or "]" in tag:
        return rest, "", digest
    check_tag(tag, field=field, text=text)
    return name, tag, digest


def _split_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    return (first, rest) if slash and _is_host(first) else ("", name)


def _is_host(component: str) -> bool:
    return component.lower() == "localhost" or "." in component or ":" in component


def _repository_fault(repository: str) -> str:
    if repository != repository.lower():
        return f"a repository has no capital letters; write {_shown(repository.lower())}"
    if "" in repository.split("/"):
        return "a repository neither starts nor ends with a slash, and has no two in a row"
    return (
        f"the repository {_shown(repository)} may hold a-z, 0-9 and between them single . or _, two"
        " _, or any number of -"
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
