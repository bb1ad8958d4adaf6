"""Moves a varied bucket between two S3 servers on this machine, and shows what `dth` makes of it.

Run it with `make demo`. It needs no root, listens on loopback only, and leaves nothing behind.
"""

import argparse
import csv
import gzip
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

# In place of this folder: `demo.py` would hide the package that it is in.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from demo.sample import change, fill  # noqa: E402 - found by the line above
from tests.servers.boto import Boto  # noqa: E402 - the same
from tests.servers.process import ServerError  # noqa: E402 - the same
from tests.servers.seaweedfs import SeaweedFS  # noqa: E402 - the same

SOURCE, DESTINATION = "s3://photos", "s3://backup"
SLOW_SECONDS = 9.0
"""What the first transfer is slowed down to, so that it is killed in its middle."""

LOOK_SECONDS = 0.1
END_SECONDS = 15.0
"""How long an interrupted `dth` may take to end by itself."""


class DemoError(Exception):
    """Something did not go as it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Two servers and a folder that are there as long as the demo is."""

    source: SeaweedFS
    destination: SeaweedFS
    state: Path

    @property
    def variables(self) -> Mapping[str, str]:
        """All that `dth` is told beside its command line; secrets are told here only."""
        return {
            **self.source.admin.environment("source"),
            **self.destination.admin.environment("destination"),
            "DTH_STATE": str(self.state),
        }

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, **self.variables}

    def summary(self) -> dict[str, Any]:
        """Of the newest run, as `dth report last --json` prints it."""
        answer = subprocess.run(
            [program(), "report", "last", "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        return dict(json.loads(answer.stdout))


def main(args: Sequence[str] | None = None) -> int:
    options = parse(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    forget_surroundings()
    begun = time.monotonic()
    say("Data Transfer Hub: a bucket moves between two S3 servers, and nothing is lost.", bold=True)
    try:
        with ExitStack() as scope:
            tell(options, set_stage(scope))
    except KeyboardInterrupt:
        say("\nInterrupted. The servers are stopped and nothing is left.")
        return 130
    except (DemoError, ServerError) as error:
        say(f"\nThe demo failed: {error}")
        return 1
    say(f"\nDone in {time.monotonic() - begun:.0f} s. The servers are stopped, nothing is left.")
    say("To try dth yourself: make demo ARGS=--keep. To read on: docs/tutorial.md.")
    return 0


def parse(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--objects", type=int, default=3000, metavar="N", help="small objects (%(default)s)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the servers running until Enter is pressed"
    )
    return parser.parse_args(args)


def forget_surroundings() -> None:
    """Profiles, settings and proxies of whoever runs the demo have no part in it."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "DTH_"))]:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"


def set_stage(scope: ExitStack) -> Stage:
    heading("Two S3 servers start on this machine (SeaweedFS, about 3 s each)")
    folder = Path(scope.enter_context(tempfile.TemporaryDirectory(prefix="dth-demo-")))
    source = scope.enter_context(SeaweedFS())
    say(f"source       {source.url}")
    destination = scope.enter_context(SeaweedFS())
    say(f"destination  {destination.url}")
    return Stage(source=source, destination=destination, state=folder / "state")


def tell(options: argparse.Namespace, stage: Stage) -> None:
    with Boto(stage.source.admin) as source, Boto(stage.destination.admin) as destination:
        objects = show_filling(source, destination, options.objects)
        show_preview(stage)
        show_first_transfer(stage, destination, objects)
        report = show_second_transfer(stage, source)
        show_mirror(stage)
        show_verify(stage, source, destination)
        show_report(stage, report)
    if options.keep:
        keep(stage)


def show_filling(source: Boto, destination: Boto, small: int) -> int:
    heading("One bucket is filled with what real buckets hold, the other is empty")
    source.create_bucket("photos")
    destination.create_bucket("backup")
    counts = fill(source, "photos", small)
    for name, count in counts.items():
        say(f"{count:>6,} {name}")
    return sum(counts.values())


def show_preview(stage: Stage) -> None:
    heading("A dry run tells what would happen, and changes nothing")
    dth(stage, "transfer", SOURCE, DESTINATION, "--tags", "--dry-run", shown=6)


def show_first_transfer(stage: Stage, destination: Boto, objects: int) -> None:
    heading("The first transfer is slowed down, and killed when a fifth has arrived")
    command = ("transfer", SOURCE, DESTINATION, "--tags")
    rate = f"{2 * objects / SLOW_SECONDS:.0f}/s"
    killed = kill_dth(
        stage,
        *command,
        *("--requests", rate),
        when=lambda: len(destination.listing("backup")) >= objects / 5,
    )
    heading("The same command goes on where it was killed: nothing is lost, nothing is half")
    dth(stage, *command)
    if killed:
        expect(stage, new=objects, done=objects, changed=0, failed=0)


def show_second_transfer(stage: Stage, source: Boto) -> Path:
    heading("Some objects change, and the same command moves only these")
    added, changed, deleted = change(source, "photos")
    say(f"At the source, {added} are new, {changed} are changed and {deleted} are deleted.\n")
    dth(stage, "transfer", SOURCE, DESTINATION, "--tags")
    return expect(stage, new=added, changed=changed, extra=deleted, deleted=0, failed=0)


def show_mirror(stage: Stage) -> None:
    heading("What was deleted is deleted there only when asked for, and never too much at once")
    command = ("transfer", SOURCE, DESTINATION, "--tags", "--mirror")
    dth(stage, *command, "--max-delete", "5", ends=3)
    say("")
    dth(stage, *command, "--max-delete", "50")
    expect(stage, new=0, changed=0, deleted=10, failed=0)


def show_verify(stage: Stage, source: Boto, destination: Boto) -> None:
    heading("Both sides are listed again and compared by ETag")
    dth(stage, "verify", SOURCE, DESTINATION, "--compare", "etag", "--mirror")
    ours, theirs = source.listing("photos"), destination.listing("backup")
    if ours != theirs:
        raise DemoError("another client finds other keys, sizes or ETags at the destination")
    page = "site/page-00.html"
    if described(source, "photos", page) != described(destination, "backup", page):
        raise DemoError("another client finds other headers, metadata or tags at the destination")
    say(f"\nAnother client (botocore) finds the same: {len(theirs):,} keys, sizes and ETags, also")
    say("those of the multipart objects; and the headers, metadata and tags of a page.")


def described(boto: Boto, bucket: str, key: str) -> list[Any]:
    head = boto.head(bucket, key)
    names = ("ContentType", "CacheControl", "ContentLanguage", "Metadata")
    tags = boto.client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    return [*(head[name] for name in names), sorted(tags, key=lambda tag: str(tag["Key"]))]


def show_report(stage: Stage, report: Path) -> None:
    heading("Every run leaves a report: a row for each key that was not the same")
    dth(stage, "runs")
    say(f"\nOf the one in which some objects had changed, {report}:")
    with gzip.open(report, "rt", encoding="utf-8", newline="") as lines:
        rows = {row["difference"]: row for row in csv.DictReader(lines)}
    for row in rows.values():
        say(f"  {row['difference']:8} {row['action']:7} {row['state']:7} {row['key']}")
    say("  …")


def keep(stage: Stage) -> None:
    heading("The servers run on until you press Enter. In another terminal you can try more:")
    for name, value in stage.variables.items():
        say(f"export {name}={shlex.quote(value)}")
    say(f"{program()} transfer {SOURCE} {DESTINATION}")
    sys.stdin.readline()


def expect(stage: Stage, **counts: int) -> Path:
    """Holds the newest run against what the demo did; returns the path of its report."""
    summary = stage.summary()
    wrong = {name: summary[name] for name, count in counts.items() if summary[name] != count}
    if wrong:
        raise DemoError(f"expected {counts}, but the run says {wrong}")
    return Path(summary["report"])


# Running dth


def dth(stage: Stage, *words: str, ends: int = 0, shown: int | None = None) -> None:
    """Runs the command as a person would; `shown` cuts what it prints on stdout."""
    say(f"$ dth {shlex.join(words)}", bold=True)
    with started(stage, *words, stdout=None if shown is None else subprocess.PIPE) as process:
        if process.stdout is not None:
            for line in islice(process.stdout, shown):
                say(line.rstrip("\n"))
            say("  …" if process.stdout.read() else "")
        code = process.wait()
    if ends:
        say(f"(exit code {code})")
    if code != ends:
        raise DemoError(f"dth {words[0]} ended with {code}")


def kill_dth(stage: Stage, *words: str, when: Callable[[], bool]) -> bool:
    """Returns false where it ended by itself before it could be killed."""
    say(f"$ dth {shlex.join(words)}", bold=True)
    with started(stage, *words) as process:
        while process.poll() is None and not when():
            time.sleep(LOOK_SECONDS)
        if process.poll() is not None:
            say(f"It was quicker than that (exit code {process.returncode}).")
            return False
        process.kill()
        process.wait()
    if sys.stdout.isatty():
        print("\x1b[?25h", end="")  # its live display had hidden the cursor
    say(f"$ kill -9 {process.pid}", bold=True)
    return True


@contextmanager
def started(
    stage: Stage, *words: str, stdout: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The command as a process that does not outlive the scope."""
    process = subprocess.Popen(
        [program(), *words], env=stage.environment, stdout=stdout, text=True, encoding="utf-8"
    )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Lets an interrupted command end by itself: a terminal sends Ctrl-C to it as well."""
    if process.poll() is None:
        try:
            process.wait(END_SECONDS / 10)
        except subprocess.TimeoutExpired:
            process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def program() -> str:
    return str(Path(sys.executable).with_name("dth"))


# Talking


_headings = iter(range(1, 100))


def heading(text: str) -> None:
    say(f"\n{next(_headings)}. {text}\n", bold=True)


def say(text: str, *, bold: bool = False) -> None:
    """Prints a line, with what would move the cursor as escapes."""
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    print(f"\x1b[1m{shown}\x1b[0m" if bold and sys.stdout.isatty() else shown, flush=True)


if __name__ == "__main__":
    sys.exit(main())
