"""A command at work on a hub: on this machine's state, or on a server that `--server` names."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from transferhub.cli.app import App
from transferhub.cli.documents import Document, as_json
from transferhub.cli.hub import Hub
from transferhub.cli.job import Params, read_all, read_hub_settings
from transferhub.cli.lines import Quiet
from transferhub.cli.log import log_shown
from transferhub.errors import InputError
from transferhub.hosts.masking import masked
from transferhub.model.pages import TaskFilter
from transferhub.model.run import TaskId

if TYPE_CHECKING:  # takes longer to load than `dth task --help` may
    from transferhub.hosts.hub_views import TaskView

_OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Attributes:
    far: the hub is a server, and not this machine's state.
    """

    app: App
    hub: Hub
    json: bool
    far: bool

    def tell(self, document: Document | Sequence[Document], lines: Sequence[str]) -> None:
        """The document where JSON was asked for, else the lines."""
        if self.json:
            self.app.out.line(as_json(document, self.app.out))
        else:
            self.app.out.lines([masked(line) for line in lines])

    def find(self, word: str) -> TaskView:
        """The task of this id or name.

        Raises:
            InputError: there is none, or more than one has this name.
        """
        try:
            return self.hub.task(TaskId(word))
        except InputError as error:
            if error.code != "no_task":
                raise
        found = self.named(word)
        if len(found) == 1:
            return found[0]
        if not found:
            raise InputError(
                "task",
                f"there is no task {word[:200]!r}; dth task list shows those that there are",
                code="no_task",
            )
        idents = ", ".join(view.task.ident for view in found[:_MOST_NAMED])
        raise InputError("task", f"{word[:200]!r} is the name of several; name one by id: {idents}")

    def named(self, name: str) -> list[TaskView]:
        """The tasks of this name."""
        chosen = TaskFilter(words=name)
        return [view for view in self.every(chosen) if view.task.name == name]

    def every(self, chosen: TaskFilter, **how: Any) -> Iterator[TaskView]:
        """All tasks of a hub that are chosen, read in pages; none of `dth transfer`'s own."""
        after = ""
        while True:
            page = self.hub.tasks(chosen, after=after, limit=_PAGE, **how)
            yield from (view for view in page.items if view.task.owner)
            after = page.cursor
            if not after:
                return


_PAGE = 100


@contextmanager
def at_desk(context: click.Context, params: Params) -> Iterator[Desk]:
    """The hub that the words before the command, or DTH_SERVER, name; else this machine's."""
    app: App = context.obj
    server = server_of(context)
    with _shown(app, params), _opened(context, params, server) as hub:
        yield Desk(app=app, hub=hub, json=bool(params.get("json")), far=bool(server))


def server_of(context: click.Context) -> str:
    """Where the hub is; "" for this machine's state."""
    return context.find_root().params.get("server") or os.environ.get("DTH_SERVER", "")


@contextmanager
def _shown(app: App, params: Params) -> Iterator[None]:
    level = "debug" if params.get("debug") else "warning"
    with log_shown(level, Quiet(), app.err):
        yield


def _opened(context: click.Context, params: Params, server: str) -> AbstractContextManager[Hub]:
    if not server:
        from transferhub.hosts.local_hub import LocalHub

        return LocalHub(read_all(lambda faults: read_hub_settings(params, faults)))
    from transferhub.hosts.remote import RemoteHub

    words = context.find_root().params
    bundle = words.get("ca_bundle") or os.environ.get("DTH_CA_BUNDLE", "")
    err = context.obj.err
    token = read_token(words, lambda sentence: err.line(f"dth: {sentence}"))
    return RemoteHub(server, token, ca_bundle=bundle)


def read_token(words: Params, warn: Callable[[str], None]) -> str:
    """The API token: of the words before the command, else of the environment.

    Raises:
        InputError: there is none, or its file cannot be read.
    """
    if file := words.get("token_file"):
        return _token_in(file, "--token-file", warn)
    given = words.get("token") or ""
    if given == "-":
        return _one_line(sys.stdin.readline(), "--token")
    if given.startswith("@"):
        return _token_in(given[1:], "--token", warn)
    if given:
        warn("whoever lists the processes of this machine can read --token; use --token-file")
        return str(given)
    if file := os.environ.get("DTH_TOKEN_FILE", ""):
        return _token_in(file, "DTH_TOKEN_FILE", warn)
    if token := os.environ.get("DTH_TOKEN", ""):
        return token
    raise InputError(
        "--token-file", "is missing, and DTH_TOKEN too; dth token create makes one on the hub"
    )


def _token_in(name: str, field: str, warn: Callable[[str], None]) -> str:
    path = Path(name).expanduser()
    try:
        if path.stat().st_mode & _OTHERS_MAY_READ:
            warn(f"{name} may be read by others; run: chmod 600 {name}")
        return _one_line(path.read_text(), field)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(field, f"{name} cannot be read: {reason}") from None


def _one_line(text: str, field: str) -> str:
    token = text.strip()
    if not token or len(token.split()) > 1:
        raise InputError(field, "holds no token; a token is one word")
    return token
