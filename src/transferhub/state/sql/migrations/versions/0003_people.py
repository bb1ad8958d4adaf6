"""Tables of sign-in and safety."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_IDENT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _create_users()
    _create_what_signs_in()
    _create_audit()
    _create_credentials()


def _create_users() -> None:
    op.create_table(
        "users",
        _key("name", _NAME),
        _text("role"),
        _moment("created_at"),
        _text("password"),
        sa.Column("disabled", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    op.create_table(
        "strikes",
        _key("key", sa.Text()),
        sa.Column("count", sa.Integer(), nullable=False),
        _moment("at"),
        sa.PrimaryKeyConstraint("key", name="pk_strikes"),
    )
    op.create_index("ix_strikes_at", "strikes", ["at"])


def _create_what_signs_in() -> None:
    op.create_table(
        "sessions",
        _key("digest", sa.Text()),
        _text("name"),
        _text("role"),
        _text("how"),
        _moment("created_at"),
        _moment("used_at"),
        _moment("ends_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_sessions"),
    )
    op.create_index("ix_sessions_name", "sessions", ["name"])
    op.create_index("ix_sessions_ends_at", "sessions", ["ends_at"])
    op.create_table(
        "links",
        _key("digest", sa.Text()),
        _text("name"),
        _text("role"),
        _moment("ends_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_links"),
    )
    op.create_index("ix_links_ends_at", "links", ["ends_at"])
    op.create_table(
        "tokens",
        _key("ident", _NAME),
        _text("digest"),
        _text("label"),
        _text("owner"),
        sa.Column("of_user", sa.SmallInteger(), nullable=False),
        _text("role"),
        _text("scopes"),
        _moment("created_at"),
        _moment("ends_at"),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("ident", name="pk_tokens"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
    )
    op.create_index("ix_tokens_owner_ident", "tokens", ["owner", "ident"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        _key("id", _IDENT),
        _moment("at"),
        *(_text(name) for name in ("who", "how", "action", "subject", "before", "after")),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    for name in ("who", "action", "subject"):
        op.create_index(f"ix_audit_{name}_id", "audit", [name, "id"])


def _create_credentials() -> None:
    op.create_table(
        "credentials",
        _key("name", _NAME),
        _text("kind"),
        _text("described"),
        _moment("created_at"),
        _moment("updated_at"),
        sa.Column("version", sa.Integer(), nullable=False),
        _text("key_id"),
        _text("box"),
        sa.PrimaryKeyConstraint("name", name="pk_credentials"),
    )


def _key(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False)


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)
