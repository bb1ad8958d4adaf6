"""What killed processes leave in a folder, and what living ones are at."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.store_facts import put
from transferhub.stores.local import LocalStore

WRITER = """
import sys
from transferhub.model.clock import utc_now
from transferhub.stores.local.paths import KeyPaths
from transferhub.stores.local.writing import NewFile, Scratch

with NewFile(Scratch(KeyPaths(sys.argv[1]), fsync=False, clock=utc_now)) as file:
    file.write(b"half of an object")
    print("writing", flush=True)
    sys.stdin.read()
"""


@contextmanager
def writer(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has written half of an object."""
    words = [sys.executable, "-c", WRITER, str(root)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        yield process
        process.kill()


def unfinished(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in (root / ".dth-tmp").rglob("*") if path.is_file()]


async def test_what_a_killed_process_was_writing_is_removed_by_the_next(tmp_path: Path) -> None:
    with writer(tmp_path) as process:
        process.kill()
    assert unfinished(tmp_path) == [b"half of an object"]

    store = LocalStore(tmp_path)
    await put(store, "key", b"whole")
    await store.aclose()

    assert [path.name for path in tmp_path.iterdir()] == ["key"]


async def test_what_a_living_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    with writer(tmp_path):
        store = LocalStore(tmp_path)
        await put(store, "key", b"whole")
        await store.aclose()
        assert unfinished(tmp_path) == [b"half of an object"]
