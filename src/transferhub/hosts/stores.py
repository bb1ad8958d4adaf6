"""Opens the store of a location, with what the environment says of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pydantic import ValidationError

from transferhub.errors import InputError
from transferhub.hosts.credentials import ChosenCredentials, Lent, choose_credentials, variable
from transferhub.model.faults import raise_faults
from transferhub.plugins.objects.location import Location
from transferhub.stores.base import ObjectStore
from transferhub.stores.local import LocalStore

READ_TIMEOUT = timedelta(seconds=60)


def with_environment(location: Location, env: Mapping[str, str]) -> Location:
    """The location with the endpoint and region of its side's variables, where it has none itself.

    Raises:
        InputError: a variable is wrong, or does not go with the location's other options.
    """
    if location.scheme == "file":
        return location
    update = {
        name: env[variable(location, name.upper())]
        for name in ("endpoint", "region")
        if not getattr(location, name) and env.get(variable(location, name.upper()))
    }
    if not update:
        return location
    try:
        filled = Location.model_validate({**location.model_dump(), **update})
    except ValidationError as error:
        sentence = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(variable(location, "ENDPOINT"), sentence) from None
    raise_faults(filled.conflicts(location.environment))
    return filled


def describe_credentials(
    location: Location, env: Mapping[str, str], lent: Lent | None = None
) -> ChosenCredentials:
    """Where the location's credentials come from, for `dth doctor`: `described` and `warnings`.

    Raises:
        InputError: a file or a stored credential cannot be used, or only a part of the variables is
            set.
    """
    return choose_credentials(location, env, lent)


def open_store(
    location: Location,
    *,
    env: Mapping[str, str],
    lent: Lent | None = None,
    timeout: timedelta = READ_TIMEOUT,
    looking: bool = False,
) -> ObjectStore:
    """The store of a location: its bucket, whatever the prefix, or its folder.

    Nothing is reached yet. A destination's folder is made by the store's `check`.

    Args:
        lent: by a hub; None where there is none.
        timeout: longest silence of a server that has been asked.
        looking: nothing is to be changed; a destination's folder that is not there counts as empty.

    Raises:
        InputError: an option or a variable is missing or wrong.
    """
    if location.scheme == "file":
        missing = location.environment == "destination"
        return LocalStore(
            location.path, create=missing and not looking, may_be_missing=missing and looking
        )
    from transferhub.hosts.s3 import open_s3  # noqa: PLC0415 - a folder needs nothing of S3

    location = with_environment(location, env)
    chosen = choose_credentials(location, env, lent)
    guarded = lent is not None and lent.guarded
    return open_s3(location, chosen, env, timeout=timeout, guarded=guarded)
