"""Runs of several clients in turn, so that what disturbs the machine disturbs all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import Client
from benchmarks.usage import Usage

_TIMEOUT_S = 600.0
_QUICK_DIVISOR = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Attributes:
    folder: for everything; empty at the start, removed by the caller.
    runs: of each client.
    quick: a tenth of the objects; its figures are no verdict.
    say: tells a person how far it is.
    """

    folder: Path
    runs: int
    quick: bool
    say: Callable[[str], None]

    timeout_s: float = _TIMEOUT_S

    def scaled(self, count: int) -> int:
        return max(1, count // _QUICK_DIVISOR) if self.quick else count


def in_turn(
    setting: Setting, clients: Sequence[Client], one: Callable[[Client, int], Usage]
) -> Mapping[str, Sequence[Usage]]:
    """Runs `one` for each client in each round; the order changes from round to round."""
    samples: dict[str, list[Usage]] = {client.name: [] for client in clients}
    for number in range(setting.runs):
        first = number % len(clients)
        for client in (*clients[first:], *clients[:first]):
            usage = one(client, number)
            samples[client.name].append(usage)
            setting.say(
                f"  round {number + 1}: {client.name} took {usage.wall_s:.2f} s,"
                f" {usage.cpu_s:.2f} s of CPU"
            )
    return samples
