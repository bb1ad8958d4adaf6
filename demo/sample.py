"""What the demo's bucket holds, the same each time."""

import random
from collections.abc import Iterator, Mapping

from tests.servers.boto import Body, Boto

FOLDERS = 40
LARGE_BYTES = 20 << 20
PART_BYTES = 5 << 20

HOSTILE_KEYS = (
    "odd/ leading and trailing space ",
    "odd/plus+sign and 100%",
    "odd/looks%2Fencoded%20twice",
    "odd/quotes'\"and`backticks`",
    "odd/<angle>&amp;ampersand",
    "odd/question?mark#hash",
    "odd/line\nbreak\tand tab",
    "odd/bell\x07 and escape\x1b[31m",
    "odd/ünïcödé und 中文 と かな",
    "odd/emoji 🚚📦",
    "odd/u\u0308 is not ü",
    "odd/right-to-left \u202ekcart",
    "odd/*star[set]{brace}$HOME",
    "odd/" + "long" * 60,
    "/".join(["ten levels of a hundred bytes each".ljust(100, "-")] * 10),
    "odd/shadow",
    "odd/shadow/below",
)


def small_objects(count: int, seed: int = 1) -> dict[str, bytes | Body]:
    """Objects of 0 to 20 KB in folders, a few of which hold most of them."""
    chance = random.Random(seed)
    objects: dict[str, bytes | Body] = {}
    for number in range(count):
        folder = min(int(chance.expovariate(0.2)), FOLDERS - 1)
        key = f"photos/{2010 + folder % 15}/album {folder:02}/IMG_{seed}{number:05}.jpg"
        objects[key] = chance.randbytes(chance.randrange(20_000))
    return objects


def described_objects() -> dict[str, bytes | Body]:
    """Objects with headers, user metadata and tags."""
    objects: dict[str, bytes | Body] = {}
    for number in range(40):
        options = {
            "ContentType": "text/html; charset=utf-8",
            "CacheControl": "max-age=3600",
            "ContentLanguage": "en, zh",
            "Metadata": {"author": "Ada", "page": str(number)},
            "Tagging": "project=demo&stage=draft",
        }
        objects[f"site/page-{number:02}.html"] = Body(
            content=f"<h1>Page {number}</h1>".encode(), options=options
        )
    return objects


def hostile_objects() -> dict[str, bytes | Body]:
    return {key: f"the object {key!r}".encode() for key in HOSTILE_KEYS}


def large_objects() -> Iterator[tuple[str, bytes]]:
    """Objects to upload in parts."""
    chance = random.Random(2)
    for name in ("film.mp4", "backup.tar", "disk image.iso"):
        yield f"large/{name}", chance.randbytes(LARGE_BYTES + chance.randrange(1 << 20))


def fill(boto: Boto, bucket: str, small: int) -> Mapping[str, int]:
    """Fills the bucket and says with what."""
    groups = {
        f"small objects in {FOLDERS} folders": small_objects(small),
        "objects with headers, metadata and tags": described_objects(),
        "objects whose keys are hostile": hostile_objects(),
    }
    for objects in groups.values():
        boto.put_objects(bucket, objects)
    large = 0
    for key, content in large_objects():
        boto.put_multipart(bucket, key, content, part_bytes=PART_BYTES)
        large += 1
    counts = {name: len(objects) for name, objects in groups.items()}
    return {**counts, "large objects, uploaded in parts of 5 MiB": large}


def change(boto: Boto, bucket: str) -> tuple[int, int, int]:
    """Adds, changes and deletes objects; returns how many of each."""
    added = {f"new/{key}": body for key, body in small_objects(25, seed=3).items()}
    changed = {f"site/page-{number:02}.html": b"<h1>New</h1> " * number for number in range(3, 18)}
    deleted = [f"site/page-{number:02}.html" for number in range(30, 40)]
    boto.put_objects(bucket, {**added, **changed})
    boto.delete(bucket, deleted)
    return len(added), len(changed), len(deleted)
