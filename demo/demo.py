"""Moves a bucket between two S3 servers on this machine, and images between two registries, by a
hub that is steered by its API.

Run it with `make demo`. It needs no root, listens on loopback only, and leaves nothing behind.
"""

import argparse
import csv
import gzip
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

# In place of this folder: `demo.py` would hide the package that it is in.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from demo import images  # noqa: E402 - found by the line above
from demo.desk import UNDER_WAY, Desk, Task  # noqa: E402 - the same
from demo.sample import change, fill  # noqa: E402 - the same
from tests.servers.boto import Boto  # noqa: E402 - the same
from tests.servers.docker_registry import DockerRegistry  # noqa: E402 - the same
from tests.servers.hub import HubError, HubServer  # noqa: E402 - the same
from tests.servers.process import MissingProgramError, ServerError  # noqa: E402 - the same
from tests.servers.seaweedfs import SeaweedFS  # noqa: E402 - the same

SOURCE, DESTINATION = "s3://photos", "s3://backup"
ALL_IMAGES = ("--all", "--referrers", "--source-plain-http", "--destination-plain-http")
SLOW_SECONDS = 9.0
"""What the first run is slowed down to, so that it is killed in its middle."""

TOLD_SECONDS = 1.0
"""How often progress is told."""

END_SECONDS = 15.0
"""How long an interrupted `dth` may take to end by itself."""


class DemoError(Exception):
    """Something did not go as it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Two servers, a hub and a folder that are there as long as the demo is.

    Attributes:
        registries: to replicate images from the first to the second; none where the program is
            not on this machine.
    """

    source: SeaweedFS
    destination: SeaweedFS
    registries: Sequence[DockerRegistry]
    hub: HubServer

    @property
    def state(self) -> Path:
        return self.hub.folder / "state"

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
    except (DemoError, HubError, ServerError) as error:
        say(f"\nThe demo failed: {error}")
        return 1
    say(f"\nDone in {time.monotonic() - begun:.0f} s. All servers are stopped, nothing is left.")
    say("To try it yourself: make demo ARGS=--keep. To read on: docs/tutorial.md.")
    return 0


def parse(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--objects", type=int, default=3000, metavar="N", help="small objects (%(default)s)"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="leave the console open until Enter is pressed, also without a terminal",
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
    registries = start_registries(scope, folder)
    environment = {
        **source.admin.environment("source"),
        **destination.admin.environment("destination"),
        "TMPDIR": str(folder),  # a killed process leaves its temporary files
    }
    hub = HubServer(folder, environment=environment)
    scope.callback(hub.stop)
    return Stage(source=source, destination=destination, registries=registries, hub=hub)


def start_registries(scope: ExitStack, folder: Path) -> Sequence[DockerRegistry]:
    try:
        registries = [DockerRegistry(folder=folder / f"registry-{n}") for n in range(2)]
    except MissingProgramError:
        say("registries   none, so that images are left out of this demo: docker-registry is not")
        say("             here (apt-get install docker-registry, as root, brings it)")
        return []
    for registry in registries:
        scope.enter_context(registry)
    say(f"registries   {' and '.join(registry.host for registry in registries)}")
    return registries


def tell(options: argparse.Namespace, stage: Stage) -> None:
    with Boto(stage.source.admin) as source, Boto(stage.destination.admin) as destination:
        objects = show_filling(source, destination, options.objects)
        show_preview(stage)
        task, run = show_kill(stage, objects)
        with closing(show_hub(stage)) as desk:
            task = show_pick_up(desk, task, run, objects)
            changes = show_changes(desk, task, source)
            show_mirror(desk, task)
            show_verify(stage, source, destination)
            show_report(stage, changes)
            if stage.registries:
                show_images(stage, desk)
            if options.keep or is_terminal():
                show_console(stage, desk)


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


def show_kill(stage: Stage, objects: int) -> tuple[Task, str]:
    """The task, and the id of its run that was killed."""
    heading("A hub starts, and is given a task over its API")
    with closing(show_hub(stage)) as desk:
        task = desk.create(described_task())
        task = desk.limit(task, {"requests": round(2 * objects / SLOW_SECONDS)})
        say(f"mutation createTask    {task.id}: {SOURCE} to {DESTINATION}, with tags")
        say("mutation setTaskLimits slows it down, so that there is something to see")
        heading("Its first run is killed, with all of the hub, when a fifth has arrived")
        run = start(desk, task)
        for found in told(desk, run):
            if found["progress"]["done"] >= objects / 5:
                break
    say(f"$ kill -9 -{stage.hub.process.pid}", bold=True)
    stage.hub.kill()
    heading("The hub starts again, says what it picks up, and goes on: nothing is lost or half")
    return task, run


def show_hub(stage: Stage) -> Desk:
    """Starts the hub, and signs in with the link that it prints."""
    say("$ dth up", bold=True)
    stage.hub.start()
    for line in stage.hub.said():
        before, token, _ = line.partition("#token=")
        say(f"{before}{token}{'…' if token else ''}")
    return Desk(stage.hub.client())


def show_pick_up(desk: Desk, task: Task, run: str, objects: int) -> Task:
    task = desk.limit(task, {})
    say("mutation setTaskLimits lifts the limits; the run hears of it at once")
    ended = until_ended(desk, run)
    expect(ended, new=objects, done=objects, changed=0, failed=0)
    return task


def show_changes(desk: Desk, task: Task, source: Boto) -> str:
    """The id of the run that moved them."""
    heading("Some objects change, and the next run moves only these")
    added, changed, deleted = change(source, "photos")
    say(f"At the source, {added} are new, {changed} are changed and {deleted} are deleted.")
    run = start(desk, task)
    ended = until_ended(desk, run)
    expect(ended, new=added, changed=changed, extra=deleted, deleted=0, failed=0)
    return run


def show_mirror(desk: Desk, task: Task) -> None:
    heading("What was deleted is deleted there only when asked for, and never too much at once")
    task = desk.update(task, described_task(mirror=True, maxDelete=5))
    say("mutation updateTask    spec: {mirror: true, maxDelete: 5}")
    ended = until_ended(desk, start(desk, task))
    if ended["errorCode"] != "max_delete":
        raise DemoError("the guard did not stop the run")
    task = desk.update(task, described_task(mirror=True, maxDelete=50))
    say("mutation updateTask    spec: {mirror: true, maxDelete: 50}")
    ended = until_ended(desk, start(desk, task))
    expect(ended, new=0, changed=0, deleted=10, failed=0)


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


def show_report(stage: Stage, run: str) -> None:
    heading("Every run leaves a report: a row for each key that was not the same")
    report = stage.state / "runs" / run / "report.csv.gz"
    say(f"Of the run in which some objects had changed, {report}:")
    with gzip.open(report, "rt", encoding="utf-8", newline="") as lines:
        rows = {row["difference"]: row for row in csv.DictReader(lines)}
    for row in rows.values():
        say(f"  {row['difference']:8} {row['action']:7} {row['state']:7} {row['key']}")
    say("  …")


def show_images(stage: Stage, desk: Desk) -> None:
    heading("Container images go from one registry to another, digest for digest")
    source, destination = stage.registries
    desk.rest()
    with source.pusher() as ours, destination.pusher() as theirs:
        for name, count in images.fill(ours).items():
            say(f"{count:>6,} {name}")
        dth(stage, "images", source.host, destination.host, *ALL_IMAGES, "--dry-run", shown=8)
        task = desk.create(described_images(source, destination))
        say(f"mutation createTask    {task.id}: {source.host} to {destination.host}, all images")
        ended = until_ended(desk, start(desk, task))
        expect(ended, same=0, failed=0)
        images.change(ours)
        say("At the source, one release is new, and the tag latest is moved back to the first.")
        ended = until_ended(desk, start(desk, task))
        expect(ended, new=1, changed=1, done=2, failed=0)
        found, wanted = images.digests(theirs), images.digests(ours)
        if found != wanted:
            raise DemoError("another client finds other images at the destination")
        say(f"\nAnother client finds the same: {len(found)} tags and their digests.")


def described_images(source: DockerRegistry, destination: DockerRegistry) -> Mapping[str, Any]:
    sides = {"source": source, "destination": destination}
    places = {side: {"url": at.host, "plainHttp": True} for side, at in sides.items()}
    return {
        "name": "Images to the mirror",
        "images": {**places, "all": True, "referrers": True},
        "schedule": None,
    }


def show_console(stage: Stage, desk: Desk) -> None:
    heading("The console is open until you press Enter")
    say("See the task and its runs in a browser; the link signs in once, within 15 minutes:\n")
    say(f"  {desk.link()}\n", bold=True)
    say("In another terminal you can try dth itself:")
    for name, value in stage.variables.items():
        say(f"export {name}={shlex.quote(value)}")
    say(f"{program()} transfer {SOURCE} {DESTINATION}")
    if stage.registries:
        source, destination = stage.registries
        say(shlex.join([program(), "images", source.host, destination.host, *ALL_IMAGES]))
    sys.stdin.readline()


# Talking with the hub


def described_task(**options: Any) -> Mapping[str, Any]:
    places = {"source": SOURCE, "destination": DESTINATION}
    sides = {side: {"url": url, "provider": "seaweedfs"} for side, url in places.items()}
    return {"name": "Photos to the backup", "spec": {**sides, "tags": True, **options}}


def start(desk: Desk, task: Task) -> str:
    run = desk.start(task)
    say(f"mutation startRun      {run}")
    return run


def told(desk: Desk, run: str) -> Iterator[Mapping[str, Any]]:
    """The run until it has ended; tells how far it is now and then."""
    due = time.monotonic()
    for found in desk.watch(run):
        if time.monotonic() >= due or found["state"] not in UNDER_WAY:
            due = time.monotonic() + TOLD_SECONDS
            say(f"query run              {progress_line(found)}")
        yield found


def until_ended(desk: Desk, run: str) -> Mapping[str, Any]:
    for found in told(desk, run):
        ended = found
    if ended["error"]:
        say(f"                       {ended['errorCode']}: {ended['error']}")
    return ended


def progress_line(run: Mapping[str, Any]) -> str:
    told = {name: int(number) for name, number in run["progress"].items()}
    words = [run["state"].lower().replace("_", " ")]
    if told["copyBytes"]:
        words.append(f"{told['done']:,} of {told['new'] + told['changed']:,} copied")
        words.append(f"{told['bytes'] / 1e6:,.1f} of {told['copyBytes'] / 1e6:,.1f} MB")
    words += [f"{told[name]:,} {name}" for name in ("same", "deleted", "failed") if told[name]]
    return ", ".join(words)


def expect(run: Mapping[str, Any], **counts: int) -> None:
    """Holds a run that has ended against what the demo did."""
    wrong = {
        name: run["progress"][name]
        for name, count in counts.items()
        if run["progress"][name] != count
    }
    if wrong or run["state"] != "SUCCEEDED":
        raise DemoError(f"expected {counts}, but run {run['id']} {run['state']} says {wrong}")


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


def is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def heading(text: str) -> None:
    say(f"\n{next(_headings)}. {text}\n", bold=True)


def say(text: str, *, bold: bool = False) -> None:
    """Prints a line, with what would move the cursor as escapes."""
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    print(f"\x1b[1m{shown}\x1b[0m" if bold and sys.stdout.isatty() else shown, flush=True)


if __name__ == "__main__":
    sys.exit(main())
