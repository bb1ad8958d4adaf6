"""A plan of images, told to a person and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transferhub.cli.documents import scan_document
from transferhub.cli.text import counted, table, visible
from transferhub.errors import GuardError
from transferhub.model.units import format_bytes, format_count

if TYPE_CHECKING:  # pydantic takes longer to load than `dth --help` may
    from transferhub.plugins.images.plan import Plan, PlanRow
    from transferhub.plugins.images.spec import ImagesSpec

MAX_ROWS = 1_000
"""Most rows, and most repositories, of the JSON document."""

_FIRST = 5
_DIGEST_LENGTH = len("sha256:") + 12


def plan_lines(plan: Plan, spec: ImagesSpec) -> list[str]:
    return [
        "Dry run: nothing was changed.",
        "",
        *(f"  {line}" for line in table(_work_rows(plan, spec))),
        *_guard_lines(plan, spec),
        *_note_lines(plan),
        *_repository_lines(plan),
        *_first_lines(plan),
    ]


def plan_document(plan: Plan, spec: ImagesSpec) -> dict[str, Any]:
    scan = plan.counts
    rows = [row for row in plan.rows if row.kind != "skip"]
    guard = _guard(plan, spec)
    return {
        "dry_run": True,
        **scan_document(scan),
        "kinds": {kind: len(found) for kind, found in _by_kind(plan).items()},
        "deletes": scan.extra if spec.prune and guard is None else 0,
        "guard": None if guard is None else {"code": guard.code, "message": guard.message},
        "bytes": plan.upload_bytes,
        "unmeasured": plan.unmeasured,
        "pulls": plan.pulls,
        "creates": len(plan.create) if spec.create else 0,
        "create": list(plan.create[:MAX_ROWS]) if spec.create else [],
        "notes": list(plan.notes),
        "rows": [_row_document(row) for row in rows[:MAX_ROWS]],
        "rows_left_out": max(0, len(rows) - MAX_ROWS),
    }


def _work_rows(plan: Plan, spec: ImagesSpec) -> list[tuple[str, str]]:
    scan = plan.counts
    count = {kind: len(found) for kind, found in _by_kind(plan).items()}
    rows = [
        ("source", counted(scan.scanned_source, "image")),
        ("destination", counted(scan.scanned_destination, "tag")),
        ("would copy", f"{counted(count['copy'], 'image')}, {_upload(plan)}"),
    ]
    if count["referrer"]:
        rows.append(("would attach", counted(count["referrer"], "referrer")))
    if count["retag"]:
        rows.append(("would tag", f"{counted(count['retag'], 'image')}, by name alone"))
    if spec.prune:
        rows.append(("would delete", counted(scan.extra, "tag")))
    if count["gone"]:
        rows.append(("would fail", f"{counted(count['gone'], 'image')}, not at the source"))
    rows.append(("would leave", _left(plan, spec, count)))
    if plan.create:
        rows.append((f"{'would create' if spec.create else 'missing'}", _repositories(plan)))
    rows.append(("would read", f"{counted(plan.pulls, 'manifest')} of the source"))
    return rows


def _upload(plan: Plan) -> str:
    if not plan.unmeasured:
        return format_bytes(plan.upload_bytes)
    return (
        f"at least {format_bytes(plan.upload_bytes)};"
        f" the size of {counted(plan.unmeasured, 'image')} is not known"
    )


def _left(plan: Plan, spec: ImagesSpec, count: dict[str, int]) -> str:
    left = [(plan.counts.same, "same"), (plan.filtered, "filtered")]
    if count["conflict"]:
        left.append((count["conflict"], "immutable"))
    if count["unlisted"]:
        left.append((count["unlisted"], "that could not be looked at"))
    if not spec.prune:
        left.append((count["extra"], "extra"))
    return ", ".join(f"{format_count(number)} {word}" for number, word in left)


def _repositories(plan: Plan) -> str:
    return counted(len(plan.create), "repository", "repositories")


def _guard_lines(plan: Plan, spec: ImagesSpec) -> list[str]:
    guard = _guard(plan, spec)
    if guard is None:
        return []
    flag, limit = f"--{guard.code.replace('_', '-')}", getattr(spec, guard.code)
    extra = f"{counted(plan.counts.extra, 'tag')} of {format_count(plan.destination_tags)}"
    allowed = f"{flag} {limit:.15g} allows"
    return ["", f"The run would delete nothing, and fail: {extra} are more than {allowed}."]


def _note_lines(plan: Plan) -> list[str]:
    return ["", *(f"Note: {visible(note)}" for note in plan.notes)] if plan.notes else []


def _guard(plan: Plan, spec: ImagesSpec) -> GuardError | None:
    if spec.prune:
        try:
            plan.check_prune(spec.guard, spec.destination.url)
        except GuardError as error:
            return error
    return None


def _repository_lines(plan: Plan) -> list[str]:
    if not plan.create:
        return []
    lines = [f"  {visible(name)}" for name in plan.create[:_FIRST]]
    others = len(plan.create) - _FIRST
    if others > 0:
        lines.append(f"  and {others:,} more")
    return ["", "Repositories that are missing:", *lines]


def _first_lines(plan: Plan) -> list[str]:
    rows = [
        _told(row)
        for kind, found in _by_kind(plan).items()
        if kind != "skip"
        for row in found[:_FIRST]
    ]
    if not rows:
        return []
    return ["", "First of each kind:", *(f"  {line}" for line in table(rows, right=(3,)))]


def _told(row: PlanRow) -> tuple[str, str, str, str, str]:
    name = f"{row.repository}:{row.tag}" if row.tag else row.repository
    size = format_bytes(row.size) if row.size else ""
    return (row.kind.value, visible(name), _short(row.digest), size, _note(row))


def _note(row: PlanRow) -> str:
    if row.kind == "conflict":
        return f"immutable there, as {_short(row.replaces)}"
    if row.subject:
        return f"of {_short(row.subject)}"
    return f"in place of {_short(row.replaces)}" if row.replaces else ""


def _short(digest: str) -> str:
    return digest[:_DIGEST_LENGTH]


def _by_kind(plan: Plan) -> dict[str, list[PlanRow]]:
    from transferhub.plugins.images.plan import RowKind

    found: dict[str, list[PlanRow]] = {kind.value: [] for kind in RowKind}
    for row in plan.rows:
        found[row.kind.value].append(row)
    return found


def _row_document(row: PlanRow) -> dict[str, Any]:
    return {
        "kind": row.kind.value,
        "repository": row.repository,
        "tag": row.tag,
        "digest": row.digest,
        "source": row.source,
        "replaces": row.replaces,
        "subject": row.subject,
        "size": row.size,
    }
