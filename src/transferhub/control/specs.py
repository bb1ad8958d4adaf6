"""`Spec`: what every plugin's parameters can say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol, Self

from transferhub.engine.execution import DeleteGuard

Login = Literal["none", "optional", "needed"]
"""Whether a place asks who wants something of it."""


class Location(Protocol):
    """A place that a task reaches, and with what of the machine."""

    @property
    def url(self) -> str:
        """For people."""

    @property
    def environment(self) -> str:
        """Whose variables apply: "source" or "destination"."""

    @property
    def login(self) -> Login: ...

    @property
    def credential(self) -> str:
        """Name of a stored one; "" for none."""

    @property
    def credentials_file(self) -> str: ...

    @property
    def profile(self) -> str: ...

    @property
    def anonymous(self) -> bool: ...

    @property
    def proxy(self) -> str: ...

    @property
    def addresses(self) -> Mapping[str, str]:
        """URLs that it is reached at, "" for none, by the end of the field's name, such as
        "_endpoint"; "" is the location itself."""

    @property
    def files(self) -> Mapping[str, str]:
        """Paths on this machine that it uses, "" for none; named as `addresses` are."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self: ...


class Destination(Protocol):
    """Where a task writes."""

    @property
    def url(self) -> str:
        """For people."""


class Spec(Protocol):
    """A plugin's parameters. They hold no secret."""

    @property
    def kind(self) -> str:
        """The plugin's name."""

    @property
    def noun(self) -> str:
        """What is counted: "object" or "image"; an s makes it many."""

    @property
    def title(self) -> str:
        """For people: what is moved where."""

    @property
    def destination(self) -> Destination: ...

    @property
    def reaches(self) -> Mapping[str, Location]:
        """All places that it reaches, by their field."""

    @property
    def places(self) -> tuple[str, ...]:
        """Where from and where to, however they are reached."""

    @property
    def files(self) -> Mapping[str, str]:
        """Paths of the lists that it reads, "" for none, by their field."""

    @property
    def guard(self) -> DeleteGuard: ...

    def fingerprint(self) -> str:
        """Equal where the work is the same."""

    def to_json(self) -> Mapping[str, Any]: ...

    def as_of(self, now: datetime) -> Self:
        """With ages counted from `now`: each run of a task counts them anew."""

    def with_digests(self) -> Self:
        """With the SHA-256 of each list that it reads, so that their content is part of its
        fingerprint. Raises InputError where one cannot be read."""

    def check_lists(self) -> None:
        """Reads its lists to their ends, so that a run finds nothing wrong with them later.

        Raises:
            InputError: one cannot be read, names nothing, or is not what it was when the spec was
                made.
        """

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self: ...
