"""Where a list goes on: the header Link (RFC 8288)."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

_LINK = re.compile(r"<([^>]*)>([^,<]*)")
_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\b)', re.IGNORECASE)
_ANY = "http://registry"


def next_target(link: str, target: str) -> str:
    """Path and query of the next page; "" where there is none.

    Only they are taken of an absolute link: what stands before a registry seldom rewrites its
    host, and a list goes on where it began.

    Args:
        target: path and query of this page, which a relative link starts from.
    """
    for found in _LINK.finditer(link):
        if _NEXT.search(found[2]):
            where: str = found[1]
            parts = urlsplit(urljoin(_ANY + target, where))
            return parts.path + (f"?{parts.query}" if parts.query else "")
    return ""
