"""Measures `dth` against rclone and JuiceFS on this machine: `python -m benchmarks --help`."""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import large_objects, memory, slow_path, small_objects, unchanged
from benchmarks.document import write_document
from benchmarks.results import Result, render
from benchmarks.rounds import Setting

BENCHMARKS: Mapping[str, Callable[[Setting], Result]] = {
    "small": small_objects.measure,
    "unchanged": unchanged.measure,
    "large": large_objects.measure,
    "far": slow_path.measure,
    "memory": memory.measure,
}


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures dth against rclone and JuiceFS."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all when left out"
    )
    parser.add_argument("--runs", type=int, default=3, help="of each client (default: 3)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the objects; no verdict")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument(
        "--write", action="store_true", help="put the results into docs/benchmarks.md"
    )
    parsed = parser.parse_args(arguments)
    unknown = sorted(set(parsed.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; choose of {', '.join(BENCHMARKS)}")
    if parsed.runs < 1:
        parser.error("--runs has to be 1 or more")
    if parsed.write and (parsed.quick or parsed.names):
        parser.error("--write takes the whole measurement, without names and without --quick")
    return parsed


def measure(name: str, *, runs: int, quick: bool) -> Result:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        say(f"{name}:")
        return BENCHMARKS[name](Setting(folder=Path(folder), runs=runs, quick=quick, say=say))


def main() -> int:
    given = parse(sys.argv[1:])
    results = []
    for name in given.names or BENCHMARKS:
        result = measure(name, runs=given.runs, quick=given.quick)
        results.append(result)
        if not given.json:
            print(render(result), flush=True)
    if given.json:
        print(json.dumps([dataclasses.asdict(result) for result in results], indent=2))
    if given.write:
        say(f"wrote {write_document(results, runs=given.runs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
