"""Intervals of keys and where to split them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence

from transferhub.model.keys import next_letter

_DIGITS = 16
"""Characters of a key that take part in a split, after what both ends have in common."""

_SHARES = 1 << 30
"""Shares of an interval are multiples of this part of it."""


class Alphabet:
    """The characters that keys were seen to hold, to place splits where keys are.

    It decides the balance of a split only; a key with characters that were never seen lands in the
    right half all the same.
    """

    def __init__(self) -> None:
        self.letters: list[str] = []
        self._seen: set[str] = set()

    def learn(self, keys: Iterable[str]) -> None:
        for letter in set("".join(keys)) - self._seen:
            self._seen.add(letter)
            insort(self.letters, letter)

    def following(self, letter: str) -> str:
        """The next letter that was seen, or the next one there is."""
        place = bisect_right(self.letters, letter)
        if place < len(self.letters):
            return self.letters[place]
        return next_letter(letter)


def merge_prefixes(prefixes: Iterable[str]) -> list[str]:
    """The shortest list of prefixes that covers the same keys, in order."""
    merged: list[str] = []
    for prefix in sorted(prefixes):
        if not merged or not prefix.startswith(merged[-1]):
            merged.append(prefix)
    return merged


def width(after: str, until: str | None, low: str, high: str, alphabet: Alphabet) -> float:
    """How much of the interval from `low` to `high` lies between `after` and `until`, by the places
    of their letters: a rough measure, 0.0 where it cannot be told."""
    common = _common(after, until, low, high)
    whole = _number(until, common, alphabet) - _number(after, common, alphabet)
    part = _number(high, common, alphabet) - _number(low, common, alphabet)
    return part / whole if whole > 0 else 0.0


def cuts(
    after: str, until: str | None, prefix: str, shares: Iterable[float], alphabet: Alphabet
) -> list[str]:
    """Strings strictly between `after` and `until` (None: no upper end) of keys that start with
    `prefix`, ascending, at these shares of the way by the alphabet; fewer where there is no
    room."""
    low = max(after, prefix)
    common = _common(low, until) if until is not None else prefix
    if not alphabet.letters or not low.startswith(common):
        return []
    first, last = _number(low, common, alphabet), _number(until, common, alphabet)
    texts = {_text(first + _share(last - first, share), alphabet) for share in shares}
    found = {common + _one_slash(text) for text in texts}
    return sorted(key for key in found if low < key and (until is None or key < until))


def carries(low: str, until: str | None, depth: int, alphabet: Alphabet) -> list[str]:
    """Keys between `low` and `until` at which a letter of `low` steps up, the widest step first.

    Of "a/0049": "b/", "a0", "a/1", "a/01", "a/005". They cut what follows `low` into ranges each of
    which is about one letter wider than the next, wherever in there the keys are.

    Args:
        depth: letters of `low` that are looked at.
    """
    start = len(_common(low, until)) if until is not None else 0
    found = []
    for place in range(start, min(depth, len(low))):
        step = _no_folder(low[:place] + alphabet.following(low[place]), low)
        if low < step and (until is None or step < until):
            found.append(step)
    return found


def _no_folder(key: str, like: str) -> str:
    """The key, with the slash that `like` has in its place.

    SeaweedFS lists nothing of a folder after the folder's own name, so that a range that starts
    there seems to lack keys.
    """
    return key + "/" if like[len(key) : len(key) + 1] == "/" else key


def _one_slash(text: str) -> str:
    """The text up to the first of two slashes: SeaweedFS invents keys with both after those."""
    place = text.find("//")
    return text if place < 0 else text[: place + 1]


def common_prefix(keys: Sequence[str]) -> str:
    """What all keys start with."""
    low, high = min(keys), max(keys)
    for place, (one, other) in enumerate(zip(low, high, strict=False)):
        if one != other:
            return low[:place]
    return low


def _common(*keys: str | None) -> str:
    known = [key for key in keys if key is not None]
    return common_prefix(known) if len(known) == len(keys) else ""


def _share(whole: int, share: float) -> int:
    return whole * int(share * _SHARES) // _SHARES


def _number(key: str | None, common: str, alphabet: Alphabet) -> int:
    """The key after `common` as a number with one digit a letter; None is the end of all keys.

    It grows with the key: after a letter that was never seen, no other counts.
    """
    base = _base(alphabet)
    if key is None:
        return int(base**_DIGITS)
    letters = alphabet.letters
    number = 0
    left = _DIGITS
    for letter in key[len(common) : len(common) + _DIGITS]:
        place = bisect_left(letters, letter)
        if place == len(letters):
            return int((number + 1) * base**left) - 1
        number = number * base + place
        left -= 1
        if letters[place] != letter:
            break
    return int(number * base**left)


def _text(number: int, alphabet: Alphabet) -> str:
    """The shortest key of that number."""
    base, letters = _base(alphabet), alphabet.letters
    places: list[int] = []
    for _ in range(_DIGITS):
        number, place = divmod(number, base)
        if place or places:
            places.append(min(place, len(letters) - 1))
    return "".join([letters[place] for place in reversed(places)])


def _base(alphabet: Alphabet) -> int:
    return max(2, len(alphabet.letters))
