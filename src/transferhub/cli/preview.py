"""A dry run, told to a person and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transferhub.cli.documents import scan_document
from transferhub.cli.text import counted, table, visible
from transferhub.model.transfer import ScanCounts
from transferhub.model.units import format_bytes, format_count, format_seconds

if TYPE_CHECKING:  # pydantic takes longer to load than `dth --help` may
    from transferhub.plugins.objects.estimate import Preview, RequestCount

_LEAST_SHOWN = 0.0001


def preview_lines(preview: Preview) -> list[str]:
    return [
        "Dry run: nothing was changed.",
        "",
        *(f"  {line}" for line in table(_work_rows(preview))),
        "",
        f"Requests{_cost(preview)}:",
        *(f"  {line}" for line in table(_request_rows(preview), right=(2, 3))),
        *_price_lines(preview),
        *_first_key_lines(preview),
    ]


def preview_document(preview: Preview) -> dict[str, Any]:
    scan = preview.scan
    return {
        "dry_run": True,
        **scan_document(scan),
        "copies": preview.copies,
        "deletes": preview.deletes,
        "bytes": preview.bytes,
        "requests": [_request_document(request) for request in preview.requests],
        "cost": {
            "total": round(preview.cost, 6),
            "egress": preview.egress_cost,
            "currency": preview.currency,
            "unpriced": list(preview.unpriced),
            "prices_from": list(preview.prices_from),
        },
        "seconds": round(preview.seconds, 3),
        "first_keys": [
            {
                "key": first.key,
                "destination": first.destination,
                "size": first.size,
                "difference": first.difference.value,
            }
            for first in preview.first_keys
        ],
    }


def _work_rows(preview: Preview) -> list[tuple[str, str]]:
    scan = preview.scan
    rows = [
        ("source", f"{counted(scan.scanned_source, 'object')}, {format_bytes(scan.source_bytes)}"),
        ("destination", counted(scan.scanned_destination, "object")),
        ("would copy", f"{counted(preview.copies, 'object')}, {format_bytes(preview.bytes)}"),
        ("of them", f"{format_count(scan.new)} new, {format_count(scan.changed)} changed"),
        ("would delete", counted(preview.deletes, "object")),
        ("would leave", _left(scan)),
        ("time", f"about {format_seconds(preview.seconds)}"),
    ]
    return [row for row in rows if row[0] != "would delete" or preview.deletes]


def _left(scan: ScanCounts) -> str:
    return (
        f"{format_count(scan.same)} same, {format_count(scan.filtered)} filtered,"
        f" {format_count(scan.archived)} archived, {format_count(scan.extra)} extra"
    )


def _request_rows(preview: Preview) -> list[tuple[str, str, str, str]]:
    rows = [
        (
            request.where,
            request.kind.value,
            format_count(request.count),
            _price(request.cost, preview),
        )
        for request in preview.requests
    ]
    return [*rows, ("source", "traffic out", "", _price(preview.egress_cost, preview))]


def _price_lines(preview: Preview) -> list[str]:
    lines = [f"  prices of {visible(origin)}" for origin in preview.prices_from]
    if preview.unpriced:
        names = ", ".join(preview.unpriced)
        lines.append(f"  No prices are known for {names}; give yours with --prices FILE.")
    return lines


def _first_key_lines(preview: Preview) -> list[str]:
    if not preview.first_keys:
        return []
    rows = [
        (first.difference.value, format_bytes(first.size), visible(first.key or first.destination))
        for first in preview.first_keys
    ]
    return ["", "First keys:", *(f"  {line}" for line in table(rows, right=(1,)))]


def _cost(preview: Preview) -> str:
    """Nothing where no price is known."""
    known = any(request.cost is not None for request in preview.requests)
    if not known and preview.egress_cost is None:
        return ""
    least = "at least" if preview.unpriced else "about"
    return f", {least} {_price(preview.cost, preview)} with traffic"


def _price(cost: float | None, preview: Preview) -> str:
    if cost is None:
        return "not known"
    if 0 < cost < _LEAST_SHOWN:
        return f"under {_LEAST_SHOWN} {preview.currency}"
    return f"{cost:,.4f} {preview.currency}"


def _request_document(request: RequestCount) -> dict[str, Any]:
    return {
        "where": request.where,
        "kind": request.kind.value,
        "count": request.count,
        "cost": request.cost,
    }
