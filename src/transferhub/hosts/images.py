"""Tasks of images: from parameters to registries, skopeo and lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from transferhub.engine.tuning import Tuning
from transferhub.hosts.credentials import Lent
from transferhub.hosts.image_parameter import read_parameter
from transferhub.hosts.limits import Limits
from transferhub.hosts.registries import describe_login, open_side
from transferhub.plugins.images.replication import ImageReplication
from transferhub.plugins.images.spec import ImagesSpec, parse_spec
from transferhub.registries import RepositoryOptions
from transferhub.registries.skopeo import Skopeo, find_skopeo
from transferhub.registries.skopeo_folder import sweep

TIME_LIMIT = timedelta(hours=1)
"""For one image that skopeo carries. It only ends what hangs: 7 GB at 2 MB a second take as long,
and what was uploaded until then need not be again."""


class ImagesKind:
    """A Kind."""

    def parse(self, values: Mapping[str, Any]) -> ImagesSpec:
        return parse_spec(values)

    def tuned(self, spec: ImagesSpec, tuning: Tuning) -> Tuning:
        """One process is enough: what moves is carried by programs of their own."""
        return replace(
            tuning,
            processes=1,
            concurrency=min(tuning.concurrency, spec.concurrency),
            attempts=spec.attempts,
        )

    def warnings(
        self, spec: ImagesSpec, env: Mapping[str, str], lent: Lent | None = None
    ) -> Sequence[str]:
        return [
            warning
            for location in (spec.source, spec.destination)
            for warning in describe_login(location, env, lent).warnings
        ]

    def open(
        self,
        spec: ImagesSpec,
        tuning: Tuning,
        env: Mapping[str, str],
        *,
        limits: Limits | None = None,
        lent: Lent | None = None,
        folder: Path,
        looking: bool = False,
    ) -> ImageReplication:
        side = partial(
            open_side, env=env, tuning=tuning, limits=limits or Limits(tuning), lent=lent
        )
        return ImageReplication(
            spec,
            source=side(spec.source),
            destination=side(spec.destination, options=_options(spec)),
            skopeo=skopeo_in(folder / "images", env),
            time_limit=TIME_LIMIT,
            list_text=partial(read_parameter, spec, env=env, tuning=tuning, lent=lent),
        )


def _options(spec: ImagesSpec) -> RepositoryOptions:
    return RepositoryOptions(
        tag_mutability=spec.tag_mutability,
        scan_on_push=spec.scan_on_push,
        encryption=spec.encryption,
        kms_key=spec.kms_key,
    )


def skopeo_in(folder: Path, env: Mapping[str, str]) -> Callable[[], Awaitable[Skopeo]]:
    """Gives the program, which is looked for until it is found, and then no more. What killed
    processes left of their logins is removed at once: it may never be asked for.

    Args:
        folder: for its private files, and for what it remembers of blobs.
    """
    found: list[Skopeo] = []
    sweep(folder / "private")

    async def skopeo() -> Skopeo:
        if not found:
            program = await find_skopeo(env)
            found.append(
                Skopeo(
                    program,
                    folder=folder / "private",
                    cache=folder / "cache",
                    environment=env,
                )
            )
        return found[0]

    return skopeo
