"""Measures `dth` against rclone, JuiceFS and skopeo, its hub, and its states, on this machine.

`python -m benchmarks --help` tells how.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import (
    fleet,
    hub_lists,
    large_objects,
    ledger_rate,
    memory,
    slow_path,
    small_objects,
    unchanged,
)
from benchmarks.aws import bills
from benchmarks.aws import rates as aws_rates
from benchmarks.document import write_document
from benchmarks.images import first, moved
from benchmarks.images import unchanged as unchanged_tags
from benchmarks.results import Result, render
from benchmarks.rounds import Setting

GROUPS: Mapping[str, Mapping[str, Callable[[Setting], Result]]] = {
    "transfer": {
        "small": small_objects.measure,
        "unchanged": unchanged.measure,
        "large": large_objects.measure,
        "far": slow_path.measure,
        "memory": memory.measure,
    },
    "hub": {
        "lists": hub_lists.measure,
        "rates": ledger_rate.measure,
        "fleet": fleet.measure,
    },
    "aws": {
        "ledgers": aws_rates.measure,
        "bill": bills.measure_objects,
        "parts": bills.measure_parts,
    },
    "images": {
        "tags": unchanged_tags.measure,
        "layers": first.measure,
        "moved": moved.measure,
    },
}
BENCHMARKS = {name: measure for group in GROUPS.values() for name, measure in group.items()}


_NAMES = (*GROUPS, *BENCHMARKS)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures dth, its hub and its states on this machine.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(_NAMES)}; all when left out"
    )
    parser.add_argument("--runs", type=int, default=3, help="of each client (default: 3)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the objects; no verdict")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument(
        "--write",
        action="store_true",
        help="put the results of whole groups into docs/benchmarks.md",
    )
    parsed = parser.parse_args(arguments)
    unknown = sorted(set(parsed.names) - set(_NAMES))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; choose of {', '.join(_NAMES)}")
    if parsed.runs < 1:
        parser.error("--runs has to be 1 or more")
    if parsed.write and (parsed.quick or set(parsed.names) - set(GROUPS)):
        parser.error(f"--write takes whole groups ({', '.join(GROUPS)}), without --quick")
    return parsed


def chosen(names: Sequence[str]) -> list[str]:
    """The benchmarks of these names and groups, each once; all where there are none."""
    found = [name for given in names or GROUPS for name in GROUPS.get(given, [given])]
    return [*dict.fromkeys(found)]


def measure(name: str, *, runs: int, quick: bool) -> Result:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        say(f"{name}:")
        return BENCHMARKS[name](Setting(folder=Path(folder), runs=runs, quick=quick, say=say))


def main() -> int:
    given = parse(sys.argv[1:])
    results = {}
    for name in chosen(given.names):
        results[name] = measure(name, runs=given.runs, quick=given.quick)
        if not given.json:
            print(render(results[name]), flush=True)
    if given.json:
        found = [dataclasses.asdict(result) for result in results.values()]
        print(json.dumps(found, indent=2))
    if given.write:
        for group in given.names or GROUPS:
            whole = [results[name] for name in GROUPS[group]]
            say(f"wrote {write_document(group, whole, runs=given.runs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
