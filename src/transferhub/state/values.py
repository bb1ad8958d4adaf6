"""How values are written whatever the state is built on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
_SECOND = 1_000_000


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    since = moment - _EPOCH
    return since.days * _DAY + since.seconds * _SECOND + since.microseconds


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(0, 0, micros)


def to_micros_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def from_micros_or_none(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def whole_text(text: str) -> str:
    """Words for people, which may quote anything: half a surrogate pair, which no database holds,
    becomes a question mark."""
    return text.encode(errors="replace").decode()
