"""What the robots of Feishu, DingTalk and WeCom answer."""

from __future__ import annotations

from transferhub.errors import SendError
from transferhub.hosts.senders.http import Answer


def accepted(answer: Answer, *fields: str) -> str:
    """The answer's sentence, where one of the fields is there and 0: they answer 200 to errors too.

    Raises:
        SendError: with the robot's own words.
    """
    document = answer.json()
    codes = [document[field] for field in fields if field in document]
    if not codes or any(code != 0 for code in codes):
        raise SendError(answer.sentence)
    return answer.sentence
