"""Events that come in: who may send them, and which are the task's."""

import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.unit.control.event_desk import SourceDesk
from tests.unit.control.hub_desk import ADMIN
from tests.unit.plugins.objects.test_events import s3_record
from transferhub.control.intake import Proof
from transferhub.errors import InputError, SignInError, TooManyError
from transferhub.model.people import CredentialKind
from transferhub.model.run import Task, TaskId

HERE = "192.0.2.1"


@pytest.fixture
def desk() -> SourceDesk:
    return SourceDesk()


def body(*keys: str, bucket: str = "photos") -> bytes:
    records: list[dict[str, Any]] = [s3_record(key) for key in keys]
    for record in records:
        record["s3"]["bucket"]["name"] = bucket
    return json.dumps({"Records": records}).encode()


async def webhook(desk: SourceDesk) -> tuple[Task, str]:
    return await desk.events.new_token(ADMIN, (await desk.task()).ident)


async def test_a_message_s_events_are_kept_where_they_are_the_task_s(desk: SourceDesk) -> None:
    task = await desk.following()
    mine, others = body("in/a", "elsewhere/b"), body("in/c", bucket="other")
    bodies: list[str | bytes] = [mine, others, "no event", body("in/d")]
    assert await desk.intake.take(task, bodies) == [True, True, False, True]
    assert await desk.waiting(task) == ["in/a", "in/d"]


async def test_keys_that_no_store_has_are_passed_over(desk: SourceDesk) -> None:
    task = await desk.following()
    odd = body("in/x").decode().replace("in%2Fx", "in%2F%FF")
    assert await desk.intake.take(task, [odd, body("in/" + "x" * 1_025)]) == [True, True]
    assert await desk.waiting(task) == []


async def test_a_sender_shows_its_token_or_signs_with_it(desk: SourceDesk) -> None:
    task, token = await webhook(desk)
    signature = hmac.new(token.encode(), body("in/b"), "sha256").hexdigest()
    proofs = [(Proof(token=token), "in/a"), (Proof(signature=signature.upper()), "in/b")]
    for proof, key in proofs:
        assert await desk.intake.receive(task.ident, body(key), proof, address=HERE) == 1
    assert await desk.waiting(task) == ["in/a", "in/b"]


@pytest.mark.parametrize(
    "proof",
    [
        Proof(),
        Proof(token="guessed"),
        Proof(signature="0" * 64),
        Proof(signature="\u00e9"),
        Proof(token="token 0", signature="0" * 64),
    ],
)
async def test_whoever_has_no_token_is_refused(desk: SourceDesk, proof: Proof) -> None:
    task, _ = await webhook(desk)
    with pytest.raises(SignInError):
        await desk.intake.receive(task.ident, body("in/a"), proof, address=HERE)
    assert await desk.waiting(task) == []


async def test_a_signature_is_of_this_body(desk: SourceDesk) -> None:
    task, token = await webhook(desk)
    signature = hmac.new(token.encode(), body("in/a"), "sha256").hexdigest()
    with pytest.raises(SignInError):
        await desk.intake.receive(
            task.ident, body("in/b"), Proof(signature=signature), address=HERE
        )


@pytest.mark.parametrize("proof", [Proof(), Proof(token="token 0"), Proof(token="t")])
async def test_tasks_without_a_webhook_look_like_those_that_there_are_not(
    desk: SourceDesk, proof: Proof
) -> None:
    queue, silent = await desk.following(), await desk.task()
    forgotten, _ = await webhook(desk)
    await desk.credentials.delete(ADMIN, forgotten.events["credential"])
    keys = {"access_key_id": "t", "secret_access_key": "t"}
    await desk.credentials.put(ADMIN, "keys", CredentialKind.KEYS, keys)
    wrong = replace(await desk.task(), events={"kind": "webhook", "credential": "keys"})
    wrong = await desk.store.update_task(wrong)
    messages = set()
    for ident in (queue.ident, silent.ident, forgotten.ident, wrong.ident, TaskId("none")):
        with pytest.raises(SignInError) as caught:
            await desk.intake.receive(ident, body("in/a"), proof, address=HERE)
        messages.add(caught.value.message)
    assert len(messages) == 1


async def test_what_is_no_event_is_refused(desk: SourceDesk) -> None:
    task, token = await webhook(desk)
    with pytest.raises(InputError, match="event"):
        await desk.intake.receive(task.ident, b"{}", Proof(token=token), address=HERE)


async def until_too_many(send: Callable[[], Awaitable[int]]) -> tuple[int, TooManyError]:
    """Sends until that is refused; how often it was not, and how it was."""
    for sent in range(10_000):
        try:
            await send()
        except SignInError:
            continue
        except TooManyError as error:
            return sent, error
    raise AssertionError("nobody was slowed down")


async def test_guesses_are_slowed_down_and_senders_are_not_for_it(desk: SourceDesk) -> None:
    task, token = await webhook(desk)

    async def send(proof: Proof, address: str = HERE) -> int:
        return await desk.intake.receive(task.ident, body("in/a"), proof, address=address)

    guess = partial(send, Proof(token="guess"))
    refused, error = await until_too_many(guess)
    assert 5 <= refused <= 30
    assert error.wait.total_seconds() > 0
    assert await send(Proof(token=token), "192.0.2.2") == 1
    desk.wait(error.wait.total_seconds())
    with pytest.raises(SignInError):
        await guess()


async def test_a_sender_that_asks_too_often_waits(desk: SourceDesk) -> None:
    task, token = await webhook(desk)
    proof = Proof(token=token)

    async def send() -> int:
        return await desk.intake.receive(task.ident, body("in/a"), proof, address=HERE)

    sent, _ = await until_too_many(send)
    assert 1_000 <= sent <= 4_000
    desk.wait(1)
    assert await send() == 1
