"""What a start does not wait for: modules that take long to load, and that it does not need."""

import os
import subprocess
import sys
from pathlib import Path

VENDORS = {
    "alembic",
    "argon2",
    "botocore",
    "cronsim",
    "cryptography",
    "httpcore",
    "joserfc",
    "psycopg",
    "pyreqwest",
    "rich",
    "sqlalchemy",
}
_TRANSFER = """
import sys
from transferhub.cli import main
assert main(["transfer", *sys.argv[1:], "--quiet"]) == 0
print(*sys.modules)
"""
_OPEN_BUCKET = """
import asyncio, sys
from transferhub.hosts.stores import open_store
from transferhub.plugins.objects.location import Location

bucket = Location.parse(
    "s3://bucket", field="source", options={"endpoint": sys.argv[1], "anonymous": True}
)
asyncio.run(open_store(bucket, env={}).aclose())
print(*sys.modules)
"""


def loaded(script: str, *args: str, state: Path) -> set[str]:
    """What a new interpreter has loaded after the script."""
    ended = subprocess.run(
        [sys.executable, "-c", script, *args],
        env={**os.environ, "DTH_STATE": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.splitlines()[-1].split())


def test_a_transfer_between_folders_loads_no_vendor_of_anything_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "key").write_bytes(b"content")
    urls = (f"file://{source}", f"file://{tmp_path}/destination")

    first, again = (loaded(_TRANSFER, *urls, state=tmp_path / "state") for _ in range(2))

    assert (tmp_path / "destination" / "key").read_bytes() == b"content"
    assert {"transferhub.state.sql.database", "transferhub.stores.local.store"} <= first & again
    assert (first | again) & (VENDORS | {"transferhub.stores.s3"}) == set()
    assert (first | again) & {"transferhub.hosts.hub_settings", "transferhub.hosts.hub"} == set()
    assert (first | again) & {"transferhub.aws", "transferhub.state.aws"} == set()


def test_a_bucket_behind_plain_http_loads_no_client_of_tls(tmp_path: Path) -> None:
    plain, secure = (
        loaded(_OPEN_BUCKET, f"{scheme}://127.0.0.1:9", state=tmp_path)
        for scheme in ("http", "https")
    )
    assert plain & VENDORS == set()
    assert secure & VENDORS == {"httpcore", "pyreqwest"}
