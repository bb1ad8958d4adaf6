"""`Desk`: writes what people read of notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from transferhub.control.phrases import PHRASES, Phrases
from transferhub.model.channel import Channel
from transferhub.model.clock import Clock
from transferhub.model.notice import MOST_TOLD, Language, Message, Notice, NoticeKind
from transferhub.model.units import format_bytes, format_seconds

_MOST_CAUSES = 5
_MOST_KEYS = 5
_LONGEST_KEY = 200
_LONGEST_DETAIL = 500
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message as it is sent; all of it is plain text.

    Attributes:
        ident: the same in all attempts to send it.
        title: one line of up to 150 characters.
        lines: the text, up to 4,000 characters.
        link: of the hub's page on it; "" where the hub has no public address.
        link_text: what to call it.
        written_at: when this attempt began.
        document: the same as JSON values, for programs.
    """

    ident: str
    title: str
    lines: tuple[str, ...]
    link: str
    link_text: str
    language: Language
    written_at: datetime
    document: dict[str, Any]

    def text(self, most_bytes: int) -> str:
        """Title, lines and link in up to so many bytes of UTF-8; lines give way first."""
        end = f"\n{self.link_text}: {self.link}" if self.link else ""
        body = "\n".join(self.lines)
        room = most_bytes - len(f"{self.title}\n{end}".encode())
        return f"{self.title}\n{cut(body, max(room, 0))}{end}"


class Desk:
    """Args:
    public_url: where people reach the hub, without a slash at its end; "" where it is not known.
    """

    def __init__(self, public_url: str, *, clock: Clock, new_ident: Callable[[], str]) -> None:
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._new_ident = new_ident

    def letter(self, message: Message, channel: Channel) -> Letter:
        phrases = PHRASES[channel.language]
        link = self._link(message)
        return Letter(
            ident=message.ident,
            title=_title(message, phrases),
            lines=tuple(_lines(message, phrases)),
            link=link,
            link_text=phrases.look,
            language=channel.language,
            written_at=self._clock(),
            document={
                "id": message.ident,
                "kind": message.kind.value,
                "task": message.task,
                "count": message.count,
                "link": link,
                "notices": [notice.to_json() for notice in message.notices],
            },
        )

    def trial(self, channel: Channel) -> Letter:
        """Of a test of the channel."""
        phrases, ident = PHRASES[channel.language], self._new_ident()
        return Letter(
            ident=ident,
            title=phrases.trial_title.format(name=channel.name),
            lines=(phrases.trial,),
            link=self._public_url,
            link_text=phrases.look,
            language=channel.language,
            written_at=self._clock(),
            document={"id": ident, "kind": "test", "link": self._public_url},
        )

    def _link(self, message: Message) -> str:
        runs = {notice.run for notice in message.notices}
        if not self._public_url:
            return ""
        if len(runs) == 1 and (run := runs.pop()):
            return f"{self._public_url}/runs/{quote(run, safe='')}"
        if message.task:
            return f"{self._public_url}/tasks/{quote(message.task, safe='')}"
        return f"{self._public_url}/"


def shown(text: str, longest: int) -> str:
    """One line, up to so many characters long, of what may hold any: those that do not print are
    escaped."""
    line = "".join(sign if sign.isprintable() else _escaped(sign) for sign in text[:longest])
    return f"{line[: longest - 1]}…" if len(text) > longest or len(line) > longest else line


def cut(text: str, most_bytes: int) -> str:
    """The text in up to so many bytes of UTF-8, with a … where it was longer."""
    whole = text.encode()
    if len(whole) <= most_bytes:
        return text
    mark = "…"
    room = most_bytes - len(mark.encode())
    return whole[:room].decode(errors="ignore") + mark if room >= 0 else ""


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()


def _title(message: Message, phrases: Phrases) -> str:
    titles = phrases.titles if message.count == 1 else phrases.plural_titles
    name = shown(message.notices[-1].task_name or message.task, _LONGEST_NAME)
    return titles[message.kind].format(
        task=name, count=f"{message.count:,}", things=_things(message.notices, phrases)
    )


def _things(notices: Sequence[Notice], phrases: Phrases) -> str:
    """What the notices' task moves."""
    return phrases.things.get(notices[-1].task_kind, phrases.things["objects"])


def _lines(message: Message, phrases: Phrases) -> Iterator[str]:
    latest = _latest(message.notices)
    match message.kind:
        case NoticeKind.EVENT_LAG:
            yield phrases.lag.format(time=format_seconds(max(at.lag for at in latest)))
        case NoticeKind.WORKER_LOST:
            for at in latest:
                host = shown(at.task_name, _LONGEST_NAME)
                yield phrases.lost.format(host=host, runs=at.objects)
        case _:
            yield from _lines_of_runs(latest, phrases)
    if message.count > MOST_TOLD:
        yield phrases.first_only.format(most=MOST_TOLD)


def _latest(notices: Iterable[Notice]) -> Sequence[Notice]:
    """The last one of each run: its figures hold those of the ones before."""
    return list({notice.run or notice.ident: notice for notice in notices}.values())


def _lines_of_runs(notices: Sequence[Notice], phrases: Phrases) -> Iterator[str]:
    things = _things(notices, phrases)
    reasons = {(at.code, at.detail): None for at in notices if at.code}
    for code, detail in list(reasons)[:_MOST_CAUSES]:
        yield phrases.reason.format(code=code, detail=shown(detail, _LONGEST_DETAIL))
    yield phrases.figures.format(
        objects=f"{sum(at.objects for at in notices):,}",
        things=things,
        size=format_bytes(sum(at.bytes for at in notices)),
        time=format_seconds(sum(at.seconds for at in notices)),
    )
    failed = sum(at.failed for at in notices)
    if failed:
        yield phrases.failed.format(failed=f"{failed:,}", things=things, Things=things.capitalize())
        yield from _lines_of_failures(notices, phrases)


def _lines_of_failures(notices: Sequence[Notice], phrases: Phrases) -> Iterator[str]:
    causes: Counter[str] = Counter()
    for notice in notices:
        causes.update({cause.code: cause.count for cause in notice.causes})
    for code, count in causes.most_common(_MOST_CAUSES):
        meaning = phrases.codes.get(code, code)
        yield f"- {phrases.cause.format(count=f'{count:,}', code=code, meaning=meaning)}"
    keys = list(dict.fromkeys(key for notice in notices for key in notice.keys))[:_MOST_KEYS]
    if keys:
        yield phrases.keys.format(things=_things(notices, phrases))
        for key in keys:
            yield f"- {shown(key, _LONGEST_KEY)}"
