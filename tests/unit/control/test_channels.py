import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.control.hub_desk import ADMIN, OPERATOR, VIEWER
from tests.unit.control.notice_desk import EMAIL, SECRETS, SLACK, SLACK_URL, WEBHOOK, NoticeDesk
from transferhub.control.channels import OpenChannels
from transferhub.errors import AccessError, InputError, SendError, VaultError
from transferhub.model.channel import KINDS, channel_schema, secrets_of
from transferhub.model.faults import flatten
from transferhub.model.people import Caller, CredentialKind, How, Role, Scope

FEISHU = {"kind": "feishu", "name": "fs", "url": "https://open.feishu.test/hook/0123456789"}


@pytest.fixture
def desk(tmp_path: Path) -> NoticeDesk:
    return NoticeDesk(tmp_path)


async def secrets(desk: NoticeDesk, name: str) -> dict[str, str]:
    channel = await OpenChannels(desk.kept, desk.ring).open(name)
    assert channel is not None
    return secrets_of(channel)


def fields(error: InputError) -> set[str]:
    return {fault.field for fault in flatten([error])}


async def test_a_channel_is_kept_and_told_without_its_secrets(desk: NoticeDesk) -> None:
    for values in (SLACK, EMAIL, WEBHOOK):
        await desk.put(values)
    hook, mail, slack = await desk.channels.list(ADMIN)
    assert (mail.kind, mail.described) == ("email", "ops@example.org (+1) by smtp.test:587")
    assert hook.described == "https://own.test/…0k3n"
    assert slack.described == "https://hooks.slack.test/…cr3t"
    assert slack.settings["window"] == 300
    assert await secrets(desk, "ops") == {"url": SLACK_URL}
    assert await secrets(desk, "mail") == {"password": "p4ssw0rd!"}


async def test_no_secret_leaves_but_to_a_receiver(desk: NoticeDesk) -> None:
    for values in (SLACK, EMAIL, WEBHOOK):
        view = await desk.put(values)
        await desk.put({**view.settings, "enabled": False})
    listed = await desk.channels.list(ADMIN)
    stored = [(at.document, at.box) for at in await desk.kept.channels()]
    told = repr((listed, stored, await desk.audit()))
    assert [secret for secret in SECRETS if secret in told] == []
    assert len(await desk.audit()) == 6


async def test_a_secret_that_is_left_out_stays(desk: NoticeDesk) -> None:
    await desk.put(WEBHOOK)
    await desk.put({"kind": "webhook", "name": "hook", "window": 60, "secret": None})
    assert await secrets(desk, "hook") == {"url": WEBHOOK["url"], "secret": WEBHOOK["secret"]}
    await desk.put({"kind": "webhook", "name": "hook", "url": "https://own.test/2"})
    assert (await secrets(desk, "hook"))["secret"] == WEBHOOK["secret"]
    await desk.put(FEISHU, secret="sign")
    await desk.put(FEISHU, secret="")
    assert (await secrets(desk, "fs"))["secret"] == ""


@pytest.mark.parametrize("change", [{"host": "evil.test"}, {"port": 25}, {"user": "other"}])
async def test_a_kept_password_goes_to_no_other_server(
    desk: NoticeDesk, change: Mapping[str, Any]
) -> None:
    await desk.put(EMAIL)
    values = {**EMAIL, **change, "password": None}
    with pytest.raises(InputError, match="give it again") as caught:
        await desk.put(values)
    assert caught.value.field == "password"
    assert (await secrets(desk, "mail"))["password"] == "p4ssw0rd!"
    await desk.put(values, password="new")


async def test_an_e_mail_channel_may_lose_its_login(desk: NoticeDesk) -> None:
    await desk.put(EMAIL)
    await desk.put({name: EMAIL[name] for name in EMAIL if name not in ("user", "password")})
    assert (await secrets(desk, "mail"))["password"] == ""


async def test_a_channel_of_another_kind_keeps_nothing(desk: NoticeDesk) -> None:
    await desk.put(SLACK)
    with pytest.raises(InputError, match="url: is missing"):
        await desk.put({"kind": "wecom", "name": "ops"})


@pytest.mark.parametrize("caller", [VIEWER, OPERATOR])
async def test_only_an_admin_may(desk: NoticeDesk, caller: Caller) -> None:
    await desk.put(SLACK)
    some = Caller(name="t", role=Role.ADMIN, how=How.TOKEN, scopes=frozenset({Scope.TASKS}))
    for who in (caller, some):
        for verb in (
            desk.channels.put(who, SLACK),
            desk.channels.list(who),
            desk.channels.delete(who, "ops"),
            desk.channels.test(who, "ops"),
            desk.channels.messages(who),
        ):
            with pytest.raises(AccessError):
                await verb
    assert desk.receiver.letters == []


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({}, {"kind"}),
        ({"kind": "fax"}, {"kind"}),
        ({"kind": "slack"}, {"name", "url"}),
        ({**SLACK, "name": "a/b", "events": [], "language": "fr"}, {"name", "events", "language"}),
        ({**SLACK, "events": ["x"], "window": -1, "tags": [""], "tasks": "t"}, None),
        ({**SLACK, "url": "ftp://h/"}, {"url"}),
        ({**SLACK, "url": "https:///x"}, {"url"}),
        ({**SLACK, "url": "https://me:pw@h/x"}, {"url"}),
        ({**SLACK, "url": "https://h/a b"}, {"url"}),
        ({**SLACK, "url": "https://h/\r\nX: y"}, {"url"}),
        ({**SLACK, "url": 7}, {"url"}),
        ({**SLACK, "password": "x"}, {"password"}),
        ({**WEBHOOK, "secret": "short"}, {"secret"}),
        ({**EMAIL, "password": ""}, {"password"}),
        ({**EMAIL, "recipients": [], "sender": "me"}, {"recipients", "sender"}),
        ({**EMAIL, "recipients": ["a@b\r\nBcc: c@d"]}, {"recipients.0"}),
        ({**EMAIL, "host": "a b", "port": 0}, {"host", "port"}),
        ({**EMAIL, "security": "ssl"}, {"security"}),
    ],
)
async def test_each_wrong_field_is_named_and_nothing_changed(
    desk: NoticeDesk, values: Mapping[str, Any], wrong: set[str] | None
) -> None:
    with pytest.raises(InputError) as caught:
        await desk.channels.put(ADMIN, values)
    assert fields(caught.value) == (wrong or {"events.0", "window", "tags.0", "tasks"})
    assert not [secret for secret in SECRETS if secret in caught.value.message]
    assert await desk.channels.list(ADMIN) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal/",
        "http://0xa9fea9fe/",
        "https://sneaky.test/hook",
    ],
)
async def test_a_receiver_may_not_be_a_metadata_service(desk: NoticeDesk, url: str) -> None:
    with pytest.raises(InputError, match="metadata service") as caught:
        await desk.put(SLACK, url=url)
    assert (caught.value.field, caught.value.code) == ("url", "blocked_address")
    with pytest.raises(InputError) as caught:
        await desk.put(EMAIL, host="sneaky.test")
    assert caught.value.field == "host"


async def test_e_mail_leaves_this_machine_with_tls_only(desk: NoticeDesk) -> None:
    for host in ("127.0.0.1", "::1", "local.test"):
        await desk.put(EMAIL, security="none", host=host)
    for host in ("192.0.2.7", "smtp.test", "half.test"):
        with pytest.raises(InputError) as caught:
            await desk.put(EMAIL, security="none", host=host)
        assert caught.value.field == "security"


async def test_there_are_at_most_a_hundred(desk: NoticeDesk) -> None:
    for number in range(100):
        await desk.put(SLACK, name=f"c{number}")
    with pytest.raises(InputError, match="there are 100 channels already"):
        await desk.put(SLACK, name="more")
    await desk.put(SLACK, name="c7", window=1)


async def test_a_channel_is_deleted_once(desk: NoticeDesk) -> None:
    await desk.put(SLACK)
    await desk.channels.delete(ADMIN, "ops")
    with pytest.raises(InputError, match="there is no channel 'ops'") as caught:
        await desk.channels.delete(ADMIN, "ops")
    assert caught.value.code == "no_channel"
    assert [at.action for at in await desk.audit()] == ["channel.delete", "channel.create"]


async def test_a_test_tells_what_the_receiver_said(desk: NoticeDesk) -> None:
    await desk.put(SLACK, enabled=False, language="zh")
    good = await desk.channels.test(ADMIN, "ops")
    assert (good.delivered, good.sentence) == (True, "ops took it")
    [letter] = desk.receiver.letters
    assert "ops" in letter.title
    assert "测试" in letter.title
    desk.receiver.faults = [SendError("slack.test answered 404: no_service"), TimeoutError()]
    bad = await desk.channels.test(ADMIN, "ops")
    assert (bad.delivered, bad.sentence) == (False, "slack.test answered 404: no_service")
    late = await desk.channels.test(ADMIN, "ops")
    assert late.sentence == "The receiver did not answer within 45 seconds."
    with pytest.raises(InputError):
        await desk.channels.test(ADMIN, "none")


async def test_channels_survive_a_rotation_of_the_key(desk: NoticeDesk) -> None:
    await desk.put(SLACK)
    await desk.credentials.put(ADMIN, "c", CredentialKind.TOKEN, {"token": "t"})
    for _ in range(4):
        assert await desk.credentials.rotate(ADMIN) == 2
        assert await secrets(desk, "ops") == {"url": SLACK_URL}
    [stored] = await desk.kept.channels()
    assert stored.key_id == desk.ring.keys()[0].ident


async def test_no_new_key_is_made_where_the_old_one_is_missing(
    desk: NoticeDesk, tmp_path: Path
) -> None:
    await desk.put(SLACK)
    (tmp_path / "keys").unlink()
    with pytest.raises(VaultError, match="key"):
        await desk.put(WEBHOOK)
    with pytest.raises(VaultError, match="key"):
        await desk.credentials.put(ADMIN, "c", CredentialKind.TOKEN, {"token": "t"})
    assert len(await desk.channels.list(ADMIN)) == 1


async def test_the_box_of_one_channel_does_not_open_as_anothers(desk: NoticeDesk) -> None:
    await desk.put(SLACK, name="a")
    await desk.put(SLACK, name="b", url="https://hooks.slack.test/services/other")
    first, second = await desk.kept.channels()
    await desk.kept.replace(second.sealed, first.sealed)
    with pytest.raises(VaultError, match="damaged"):
        await OpenChannels(desk.kept, desk.ring).open("a")


def test_the_schema_tells_of_every_kind_and_describes_every_field() -> None:
    schema = channel_schema()
    assert set(schema["discriminator"]["mapping"]) == set(KINDS)
    for model in KINDS.values():
        described = schema["$defs"][model.__name__]["properties"]
        missing = [name for name in described if not described[name].get("description")]
        assert missing == ["kind"]
    assert json.dumps(schema)
