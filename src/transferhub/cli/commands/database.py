"""`dth database` and its commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from transferhub.cli import options
from transferhub.cli.app import App
from transferhub.cli.documents import Document, as_json
from transferhub.cli.exits import ExitCode
from transferhub.cli.faults import shown
from transferhub.cli.grouped import Command, Family
from transferhub.cli.job import read_all, read_settings
from transferhub.cli.text import NOTHING, table
from transferhub.hosts.masking import masked
from transferhub.model.units import format_bytes, format_count
from transferhub.model.usage import DatabaseUse, DiskUse

if TYPE_CHECKING:  # it takes longer to load than `dth database --help` may
    from transferhub.hosts.settings import Settings


def _settings(app: App, params: dict[str, Any]) -> Settings:
    settings = read_all(lambda faults: read_settings(params, faults))
    for warning in settings.warnings:
        app.err.line(f"dth: {shown(warning)}")
    return settings


def _tell(app: App, params: dict[str, Any], document: Document, lines: list[str]) -> ExitCode:
    if params["json"]:
        app.out.line(as_json(document, app.out))
    else:
        app.out.lines([masked(line) for line in lines])
    return ExitCode.OK


@click.pass_obj
def show(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts import database

    settings = _settings(app, params)
    use, disk = database.measure(settings), database.disk_use(settings)
    return _tell(app, params, _use_document(use, disk), _use_lines(use, disk))


def _use_document(use: DatabaseUse, disk: DiskUse) -> Document:
    return {
        "database": use.place,
        "revision": use.revision,
        "bytes": use.size,
        "tables": [
            {"name": each.name, "rows": each.rows, "bytes": each.size} for each in use.tables
        ],
        "disk": {"reports": disk.reports, "other": disk.other, "free": disk.free},
    }


def _use_lines(use: DatabaseUse, disk: DiskUse) -> list[str]:
    facts = [
        ("database", use.place),
        ("revision", use.revision),
        ("size", format_bytes(use.size)),
        ("reports", format_bytes(disk.reports)),
        ("other files", format_bytes(disk.other)),
        ("free space", format_bytes(disk.free)),
    ]
    rows = [
        (
            each.name,
            NOTHING if each.rows is None else format_count(each.rows),
            NOTHING if each.size is None else format_bytes(each.size),
        )
        for each in use.tables
    ]
    return [*table(facts), "", *table([("TABLE", "ROWS", "SIZE"), *rows], right=(1, 2))]


@click.pass_obj
def upgrade(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts import database

    settings = _settings(app, params)
    place, before, now = database.upgrade(settings)
    if before is None:
        sentence = f"{place} has its tables now, of revision {now}."
    elif before == now:
        sentence = f"{place} is up to date: revision {now}."
    else:
        sentence = f"{place} is of revision {now} now; it was of {before}."
    document: Document = {"database": place, "before": before, "revision": now}
    return _tell(app, params, document, [sentence])


@click.pass_obj
def backup(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts import database

    settings = _settings(app, params)
    file = _absolute(params["file"])
    size = database.back_up(settings, file)
    sentence = f"The backup is {file}, of {format_bytes(size)}, and sound."
    return _tell(app, params, {"file": str(file), "bytes": size}, [shown(sentence)])


@click.pass_obj
def restore(app: App, /, **params: Any) -> ExitCode:
    from transferhub.hosts import database

    settings = _settings(app, params)
    file = _absolute(params["file"])
    kept = database.restore(settings, file)
    lines = [shown(f"The database is what {file} holds.")]
    if kept is not None:
        lines.append(shown(f"The former one is kept as {kept}."))
    document: Document = {"file": str(file), "former": str(kept) if kept else None}
    return _tell(app, params, document, lines)


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _options(json: str) -> list[click.Parameter]:
    return options.chain(
        [options.database_option()],
        options.output_options(progress=False, json=json, ledger=False),
    )


_FILE = click.Argument(["file"], metavar="FILE", help="The backup.")

command = Family(
    "database",
    [
        Command(
            "show",
            callback=show,
            short_help="Show what is in the database, and what the state takes.",
            help="Show the database's size, revision and tables, and what the state folder takes."
            " Rows of PostgreSQL are as it counted them last.",
            examples="dth database show",
            params=_options("the facts"),
        ),
        Command(
            "upgrade",
            callback=upgrade,
            short_help="Bring the tables up to this version.",
            help="""Bring the tables up to this version of the program, or make them.

            Hubs and workers of the former version go on meanwhile and after, so that they can be
            replaced one by one; where a version does not allow that, its notes say so, and the
            former ones refuse to start. A start does the same by itself.
            """,
            examples="dth database upgrade --database postgresql://dth@db.example.com/dth",
            params=_options("the revisions"),
        ),
        Command(
            "backup",
            callback=backup,
            short_help="Copy the SQLite database, while it is used.",
            help="""Copy the SQLite database to FILE as it is at one moment, while others use it.

            The copy is checked, and never takes the place of a file that is there. The keys of
            stored credentials are not in it: keep a copy of the key file, apart from this one.
            """,
            examples='dth database backup "dth-$(date +%F).sqlite3"',
            params=[_FILE, *_options("its size")],
        ),
        Command(
            "restore",
            callback=restore,
            short_help="Put a backup in the place of the SQLite database.",
            help="Put a backup in the place of the SQLite database, while no hub and no transfer"
            " runs. It is checked first, and the former database is kept beside it.",
            examples="dth database restore dth-2026-01-14.sqlite3",
            params=[_FILE, *_options("the former file")],
        ),
    ],
    on_hub=False,
    short_help="Show, upgrade, back up and restore the database.",
    help="Show, upgrade, back up and restore the database of this machine's state.",
)
