"""The kinds of tasks: the one place of hosts that names plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from transferhub.control.specs import Spec
from transferhub.engine.replication import Replication
from transferhub.engine.tuning import Tuning
from transferhub.errors import InputError
from transferhub.hosts.credentials import Lent
from transferhub.hosts.limits import Limits

S = TypeVar("S", bound=Spec)


class Kind(Protocol[S]):
    """What a host has to know of a plugin."""

    def parse(self, values: Mapping[str, Any]) -> S:
        """The parameters that a person gave, or `Spec.to_json` wrote; raises InputError, naming
        each field."""

    def tuned(self, spec: S, tuning: Tuning) -> Tuning:
        """What of a machine's limits such a run takes; the same however often it is asked."""

    def warnings(self, spec: S, env: Mapping[str, str], lent: Lent | None) -> Sequence[str]:
        """What is amiss with credentials, a sentence each; raises InputError where they cannot be
        used."""

    def open(
        self,
        spec: S,
        tuning: Tuning,
        env: Mapping[str, str],
        *,
        limits: Limits | None = None,
        lent: Lent | None = None,
        folder: Path,
        looking: bool = False,
    ) -> Replication:
        """Opens both sides of a spec, within the limits of one process.

        Args:
            limits: of this process; by default those of `tuning`, which do not change.
            lent: by a hub; None where there is none.
            folder: of the state, for what is kept between runs.
            looking: nothing is to be changed.

        Raises:
            InputError: a list or a credential of the spec cannot be used.
            UnsupportedError: the two sides cannot do what the spec asks.
        """


def _objects() -> Kind[Any]:
    from transferhub.hosts.objects import ObjectsKind  # noqa: PLC0415 - where it is wanted

    return ObjectsKind()


def _images() -> Kind[Any]:
    from transferhub.hosts.images import ImagesKind  # noqa: PLC0415 - where it is wanted

    return ImagesKind()


_KINDS: Mapping[str, Callable[[], Kind[Any]]] = {"objects": _objects, "images": _images}
KINDS = tuple(_KINDS)
"""Their names."""


def kind_of(name: str) -> Kind[Any]:
    """Raises InputError where there is none."""
    if name not in _KINDS:
        known = " or ".join(KINDS)
        raise InputError("kind", f"{name[:64]!r} is no kind of task; write {known}")
    return _KINDS[name]()
