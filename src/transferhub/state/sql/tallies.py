"""`Tallies`: the changes that a transaction makes to the totals of runs."""

from __future__ import annotations

from collections import defaultdict

from transferhub.state.sql.dialects import Columns
from transferhub.state.sql.session import Session

_COLUMNS: Columns = (
    ("run_id", "BIGINT"),
    ("slot", "BIGINT"),
    ("action", "BIGINT"),
    ("state", "BIGINT"),
    ("count", "BIGINT"),
    ("size", "BIGINT"),
    ("moved_bytes", "BIGINT"),
)
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_ADD = (
    f"INSERT INTO tallies ({_NAMES}) SELECT {_NAMES} FROM ({{rows}}) AS v WHERE true "
    "ON CONFLICT (run_id, slot, action, state) DO UPDATE SET count = tallies.count + "
    "excluded.count, size = tallies.size + excluded.size, "
    "moved_bytes = tallies.moved_bytes + excluded.moved_bytes"
)


class Tallies:
    """Collects changes; `save` writes them, as the last thing that its transaction does."""

    def __init__(self) -> None:
        self._changes: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
        self._moves: defaultdict[tuple[int, int, int, int], list[int]] = defaultdict(lambda: [0, 0])

    def add(self, run_id: int, action: int, state: int, count: int, size: int) -> None:
        change = self._changes[run_id, action, state]
        change[0] += count
        change[1] += size

    def move(self, run_id: int, action: int, size: int, old: int, new: int) -> None:
        """One transfer of `size` went from the state `old` to `new`."""
        move = self._moves[run_id, action, old, new]
        move[0] += 1
        move[1] += size

    def add_moved(self, run_id: int, action: int, state: int, moved_bytes: int) -> None:
        self._changes[run_id, action, state][2] += moved_bytes

    def save(self, session: Session) -> None:
        for (run_id, action, old, new), (count, size) in self._moves.items():
            self.add(run_id, action, old, -count, -size)
            self.add(run_id, action, new, count, size)
        # In one order everywhere, so that two writers never wait for each other in a circle.
        rows = [
            (run_id, session.slot, action, state, *change)
            for (run_id, action, state), change in sorted(self._changes.items())
            if any(change)
        ]
        session.execute_rows(_ADD, _COLUMNS, rows)
