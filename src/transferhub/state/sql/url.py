"""`DatabaseUrl`: which database, for its driver and for people."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from transferhub.errors import InputError

# A password may hold anything but `@`, encoded or not.
_POSTGRES = re.compile(
    r"postgres(?:ql)?(?:\+\w+)?://"
    r"(?:(?P<user>[^:/?@]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_QUERY_PASSWORD = re.compile(r"([?&]password=)[^&]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrl:
    """Attributes:
    is_sqlite: a file of this machine, or else a PostgreSQL server.
    target: what the driver opens: a path, "" for memory, or a URL; may hold a password.
    place: the database as people may see it: without its password.
    """

    is_sqlite: bool
    target: str = field(repr=False)
    place: str


def parse_url(url: str) -> DatabaseUrl:
    """Reads `sqlite:///path` or `postgresql://user@host/name`.

    Raises:
        InputError: it names no database that we know.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator:
        # The rest is a path to the letter: `?` and `%` are characters of it.
        path = rest.removeprefix("/")
        return DatabaseUrl(is_sqlite=True, target=path, place=path or "memory")
    found = _POSTGRES.fullmatch(url)
    if found is None:
        raise InputError("database", "is neither sqlite:///PATH nor postgresql://USER@HOST/NAME")
    user, password, rest = found["user"], found["password"], found["rest"]
    return DatabaseUrl(
        is_sqlite=False,
        target=f"postgresql://{_login(user, password)}{rest}",
        place=f"postgresql://{_login(user, password and '***', safe='*')}"
        + _QUERY_PASSWORD.sub(r"\1***", rest),
    )


def _login(user: str | None, password: str | None, *, safe: str = "") -> str:
    if user is None:
        return ""
    words = [quote(unquote(word), safe=safe) for word in (user, password) if word is not None]
    return f"{':'.join(words)}@"
