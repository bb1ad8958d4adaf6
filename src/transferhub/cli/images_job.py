"""What the user typed of images, as a spec and settings."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferhub.cli.images_options import SIDE_FIELDS
from transferhub.cli.job import Faults, Params, absolute, parse_percent, read_all, read_settings
from transferhub.errors import InputError
from transferhub.model.units import parse_count

if TYPE_CHECKING:  # pydantic takes longer to load than `dth --help` may
    from transferhub.hosts.settings import Settings
    from transferhub.plugins.images.spec import ImagesSpec

STANDARD_INPUT = "-"

_PLAIN = (
    "all",
    "images_parameter",
    "include",
    "exclude",
    "tag_pattern",
    "semver",
    "platform",
    "untagged",
    "index_children",
    "cosign",
    "referrers",
    "prefix",
    "create",
    "tag_mutability",
    "scan_on_push",
    "encryption",
    "kms_key",
    "prune",
)
_SWITCHES = ("cosign", "create")
"""On where nothing is said."""

_FROM_ONE = ("newest", "concurrency", "attempts")
_ANYWHERE = "registry.invalid"
_PATHS = ("/", "./", "../", "~")
_LIST_FILE = re.compile(r"[^,:@\s]+\.(?:txt|csv|tsv|list|lst|json|ya?ml|conf)", re.IGNORECASE)


def read_images_job(params: Params) -> tuple[ImagesSpec, Settings]:
    """The spec and the settings; all of their faults at once."""

    def read(faults: Faults) -> tuple[ImagesSpec, Settings] | None:
        spec = read_images_spec(params, faults)
        settings = read_settings({**params, **_speeds(params, spec)}, faults)
        return None if spec is None or settings is None else (spec, settings)

    return read_all(read)


def read_images_spec(params: Params, faults: Faults) -> ImagesSpec | None:
    """The spec; None where `faults` now holds what is wrong with it."""
    from transferhub.hosts.registries import with_environment
    from transferhub.model.faults import flatten
    from transferhub.plugins.images.spec import parse_spec

    unread, unfit = Faults(), Faults()
    values = _values(params, unread)
    complete = partial(with_environment, env=os.environ)
    spec = unfit.read(lambda: parse_spec(values, complete=complete))
    if "images_file" in values:
        unfit.read(lambda: _check_list(values, spec))
    # What could not be read was left out, which may be a fault of its own: one is enough.
    told = {fault.field for fault in unread.found}
    found = [*unread.found, *(f for f in flatten(unfit.found) if f.field not in told)]
    faults.found += found
    return None if found else spec


def _check_list(values: Mapping[str, Any], spec: ImagesSpec | None) -> None:
    """Raises InputError: all that is wrong with a list file, whatever else is wrong."""
    from transferhub.plugins.images.spec import parse_spec

    if spec is None:
        alone = {"source": values["source"], "images_file": values["images_file"]}
        try:
            spec = parse_spec({**alone, "destination": _ANYWHERE})
        except InputError:  # what is wrong with the source was told
            return
    spec.check_lists()


def _values(params: Params, faults: Faults) -> dict[str, Any]:
    """The fields of an ImagesSpec that the user gave."""
    values: dict[str, Any] = {name: params.get(name) for name in _PLAIN}
    values |= {name: faults.parsed(params, name, _from_one) for name in _FROM_ONE}
    values["max_delete"] = faults.parsed(params, "max_delete", parse_count)
    values["max_delete_percent"] = faults.parsed(params, "max_delete_percent", parse_percent)
    values["rename"] = faults.read(lambda: _renames(params.get("rename") or ()))
    values |= faults.read(lambda: _images(params.get("images"))) or {}
    values |= {side: _registry(params, side) for side in ("source", "destination")}
    given = {name: value for name, value in values.items() if value not in (None, (), {})}
    return {name: value for name, value in given.items() if value is not False or name in _SWITCHES}


def _from_one(text: str, *, field: str) -> int:
    count = parse_count(text, field=field)
    if not count:
        raise InputError(field, "must be at least 1")
    return count


def _registry(params: Params, side: str) -> dict[str, Any]:
    values = {field: params.get(f"{side}_{field}") for field in SIDE_FIELDS.values()}
    for field in ("credentials_file", "ca_bundle"):
        values[field] = absolute(values[field])
    given = {field: value for field, value in values.items() if value not in (None, False)}
    return {"url": params[side], **given}


def _images(given: str | None) -> dict[str, str]:
    """A list, or the file that holds it.

    Raises:
        InputError: it is a file by its name, and there is none.
    """
    if given is None:
        return {}
    if given == STANDARD_INPUT:
        given = sys.stdin.buffer.read().decode(errors="surrogateescape")
    elif _is_file(given):
        return {"images_file": str(absolute(given))}
    else:
        _refuse_missing_file(given)
    if not given.strip(" \t\r\n,"):
        raise InputError("images", "names nothing; write images such as nginx:1.27")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise InputError("images", "is not UTF-8; write plain letters") from None
    return {"images": given}


def _is_file(given: str) -> bool:
    try:
        return Path(given).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):  # too long for a name, for one
        return False


def _refuse_missing_file(given: str) -> None:
    from transferhub.model.faults import suggest

    name = _LIST_FILE.fullmatch(given)
    if not given.startswith(_PATHS) and not name:
        return
    folder, wanted = Path(given).expanduser().parent, Path(given).name
    near = suggest(wanted, (path.name for path in _files(folder)))
    advice = f"; for an image of this name write {given}:latest" if name else ""
    raise InputError("images", f"there is no file {given!r}{near or advice}")


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []


def _renames(pairs: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not equals or not old:
            raise InputError(
                "rename", f"{pair!r} says no new name; write one such as web=frontend or tools/="
            )
        if found.setdefault(old, new) != new:
            raise InputError("rename", f"{old!r} has two new names, {found[old]!r} and {new!r}")
    return found


def _speeds(params: Params, spec: ImagesSpec | None) -> dict[str, str | None]:
    """What settings are told of these; the spec has told what is wrong with them."""
    given = spec is not None and params.get("concurrency") is not None
    return {"attempts": None, "concurrency": str(spec.concurrency) if spec and given else None}
