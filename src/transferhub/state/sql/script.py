"""sqlite.sql, written from `schema`: `python -m transferhub.state.sql.script`.

A first start creates the tables from it, so that it need not load SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from transferhub.state.sql.migrate import TABLES
from transferhub.state.sql.tables import metadata


def script() -> str:
    dialect = sqlite.dialect()
    statements = [str(it.compile(dialect=dialect)).strip() for it in _elements()]
    lines = ";\n".join(statements).replace("\t", "    ").splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _elements() -> Iterator[CreateTable | CreateIndex]:
    for table in metadata.sorted_tables:
        yield CreateTable(table)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield CreateIndex(index)


if __name__ == "__main__":
    TABLES.write_text(script())
