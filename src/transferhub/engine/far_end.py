"""Where the keys of a range end, asked with a few small requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from transferhub.engine.listing import Side
from transferhub.engine.ranges import Alphabet, common_prefix
from transferhub.engine.shards import RangeShard

_PROBES = 16
"""Keys asked for at once."""


async def far_end(shard: RangeShard, side: Side, alphabet: Alphabet) -> str | None:
    """A key near the range's last one, beyond which the side seems to hold nothing of the range;
    None where that is its end already. It only helps to cut the range well."""
    end = shard.until
    low = shard.low
    held, end = await _narrowed(shard, side, _some(shard.steps(alphabet)[::-1]), end, alphabet)
    if held is None or held <= low:
        return end if end != shard.until else None
    head, last = held[:-1], held[-1]
    letters = [letter for letter in alphabet.letters if letter > last]
    beyond = alphabet.following(letters[-1] if letters else last)
    steps = [head + letter for letter in (*letters, beyond)]
    inside = [step for step in steps if step > held and (end is None or step < end)]
    _, end = await _narrowed(shard, side, _some(inside), end, alphabet)
    return end if end != shard.until else None


async def _narrowed(
    shard: RangeShard, side: Side, steps: Sequence[str], end: str | None, alphabet: Alphabet
) -> tuple[str | None, str | None]:
    """The last of the ascending steps with a key beyond it (None: none), and the one after it, or
    the end that is known."""
    found = await asyncio.gather(*(side.any_after(shard.prefix, step) for step in steps))
    held, low = None, shard.low
    for step, key in zip(steps, found, strict=True):
        if key <= step or (shard.until is not None and key > shard.until):
            return held, step
        alphabet.learn([key[len(common_prefix([low, key])) :]])
        held = step
    return held, end


def _some(steps: Sequence[str]) -> Sequence[str]:
    """At most so many of them as are asked for at once, spread evenly."""
    return steps[:: -(-len(steps) // _PROBES) or 1]
