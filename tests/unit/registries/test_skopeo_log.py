from datetime import timedelta

import pytest

from transferhub.registries.skopeo_log import LONGEST_LINE_BYTES, SkopeoLog

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def entry(words: str, level: str = "debug") -> str:
    quoted = words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'time="2026-01-01T00:00:00Z" level={level} msg="{quoted}"\n'


def mounting(digest: str) -> str:
    target = f"/v2/x/blobs/uploads/?from=y&mount={digest.replace(':', '%3A')}"
    return entry(f"Trying to mount {target}")


def told(*lines: str, piece: int = 7) -> SkopeoLog:
    log = SkopeoLog()
    text = "".join(lines).encode()
    for at in range(0, len(text), piece):
        log.feed(text[at : at + piece])
    log.end()
    return log


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_pieces_of_any_length_tell_the_same(piece: int) -> None:
    log = told(entry(f"Upload of layer {A} complete"), entry('say "no"', "fatal"), piece=piece)
    assert log.uploaded == {A}
    assert log.fatal == 'say "no"'


def test_a_blob_that_was_mounted_is_not_present() -> None:
    log = told(mounting(A), entry(f"Skipping blob {A} (already present): x"))
    assert (log.mounted, log.present) == ({A}, set())


def test_a_blob_that_an_earlier_platform_mounted_or_sent_stays_so() -> None:
    again = [entry(f"Skipping blob {digest} (already present):") for digest in (A, B)]
    log = told(mounting(A), again[0], entry(f"Upload of layer {B} complete"), *again)
    assert (log.mounted, log.uploaded, log.present) == ({A}, {B}, set())


def test_a_mount_that_became_an_upload_is_none() -> None:
    refused = entry(f"Mounting {A} from x to y started an upload instead")
    log = told(mounting(A), refused, entry(f"Upload of layer {A} complete"))
    assert (log.mounted, log.uploaded) == (set(), {A})


def test_a_blob_that_was_there_is_present() -> None:
    assert told(entry(f"Skipping blob {A} (already present):")).present == {A}


def test_the_last_wait_is_kept() -> None:
    waits = [
        entry(f"Too many requests to http://x/v2/: sleeping for {n}.000000 seconds before next")
        for n in (2, 30)
    ]
    assert told(*waits).wait == timedelta(seconds=30)


def test_the_last_fatal_line_counts_and_warnings_do_not() -> None:
    log = told(entry("first", "fatal"), entry("a\nb", "fatal"), entry("no matter", "warning"))
    assert log.fatal == "a\nb"


def test_what_is_no_log_is_kept_at_its_end() -> None:
    log = told("x" * 5_000 + "\n", "panic: index out of range\n", piece=1_000)
    assert log.other.endswith("panic: index out of range\n\n")
    assert len(log.other) <= 2_000


def test_an_endless_line_takes_no_endless_memory() -> None:
    log = SkopeoLog()
    for _ in range(100):
        log.feed(b"x" * LONGEST_LINE_BYTES)
    assert len(log.begun) <= LONGEST_LINE_BYTES
    log.feed(f"\n{entry('end', 'fatal')}".encode())
    assert log.fatal == "end"
