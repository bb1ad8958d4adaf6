"""Where a key of the source lands."""

from __future__ import annotations

from dataclasses import dataclass

from transferhub.plugins.objects.spec import ObjectsSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMap:
    """Each relative key has one key at the source and one at the destination."""

    source_base: str = ""
    destination_base: str = ""

    @classmethod
    def of(cls, spec: ObjectsSpec) -> KeyMap:
        return cls(source_base=spec.source.prefix, destination_base=spec.destination_base)

    def source_key(self, relative: str) -> str:
        return self.source_base + relative

    def destination_key(self, relative: str) -> str:
        return self.destination_base + relative

    def relative_of_source(self, key: str) -> str:
        return _without(key, self.source_base)

    def relative_of_destination(self, key: str) -> str:
        return _without(key, self.destination_base)

    def landing(self, source_key: str) -> str:
        """Where an object of the source lands."""
        return self.destination_base + _without(source_key, self.source_base)


def _without(key: str, base: str) -> str:
    if not key.startswith(base):
        raise ValueError(f"{key!r} does not start with {base!r}")
    return key[len(base) :]
