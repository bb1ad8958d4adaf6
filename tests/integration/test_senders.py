"""What real receivers on loopback are sent, and what is made of what they answer."""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.servers.certificates import Certificates, make_certificates
from tests.servers.receivers import Answer, HttpReceiver, SmtpReceiver
from transferhub.control.channels import Senders
from transferhub.control.letters import Letter
from transferhub.errors import SendError
from transferhub.hosts.senders import http as http_sender
from transferhub.hosts.senders import smtp as smtp_sender
from transferhub.hosts.senders.all import open_senders
from transferhub.model.channel import parse_channel
from transferhub.model.notice import Language

NOW = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
LETTER = Letter(
    ident="0123abcd",
    title="Photos: 2 runs <failed> & *ended*",
    lines=("12 objects", "- <!channel> [x](http://evil) 键"),
    link="https://hub.test/tasks/t?a=1&b=2",
    link_text="Look at it",
    language=Language.EN,
    written_at=NOW,
    document={"id": "0123abcd", "kind": "run_failed", "count": 2},
)
OK = json.dumps({"errcode": 0, "errmsg": "ok"})
LARK_OK = json.dumps({"StatusCode": 0, "StatusMessage": "success", "code": 0, "msg": "success"})


async def resolve(host: str) -> list[str]:
    return {"receiver.test": ["127.0.0.1"], "sly.test": ["169.254.169.254"]}.get(host, [])


@pytest.fixture
async def senders(certificates: Certificates) -> AsyncIterator[Senders]:
    trust = ssl.create_default_context(cafile=certificates.ca)
    async with AsyncExitStack() as stack:
        yield open_senders(stack, resolve=resolve, trust=trust)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


@pytest.fixture
async def http() -> AsyncIterator[HttpReceiver]:
    async with HttpReceiver() as receiver:
        yield receiver


def channel(kind: str, url: str, **more: Any) -> Any:
    return parse_channel({"kind": kind, "name": "c", "url": url, **more})


async def sent(senders: Senders, made: Any, letter: Letter = LETTER) -> str:
    return await senders[made.kind].send(made, letter)


async def fails(senders: Senders, made: Any) -> str:
    with pytest.raises(SendError) as caught:
        await sent(senders, made)
    return caught.value.message


class TestWebhook:
    SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()

    async def test_a_receiver_can_verify_id_time_and_body(
        self, senders: Senders, http: HttpReceiver
    ) -> None:
        made = channel("webhook", f"{http.url}/in?x=1", secret=self.SECRET)
        assert await sent(senders, made) == "127.0.0.1 answered 200: ok"
        [got] = http.received
        head = got.headers
        assert got.target == "/in?x=1"
        assert head["webhook-id"] == LETTER.ident
        assert head["webhook-timestamp"] == str(int(NOW.timestamp()))
        signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + got.body
        digest = hmac.new(b"k" * 24, signed, hashlib.sha256).digest()
        assert head["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        document = json.loads(got.body)
        assert document["type"] == "run_failed"
        assert document["data"]["text"] == "\n".join(LETTER.lines)
        assert head["content-type"] == "application/json; charset=utf-8"

    async def test_any_other_secret_is_a_key_as_it_is(
        self, senders: Senders, http: HttpReceiver
    ) -> None:
        secret = "a plain secret, ünïcode"
        await sent(senders, channel("webhook", http.url, secret=secret))
        [got] = http.received
        stamp = got.headers["webhook-timestamp"]
        digest = hmac.new(
            secret.encode(), f"0123abcd.{stamp}.".encode() + got.body, hashlib.sha256
        ).digest()
        assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


async def test_slack_is_sent_blocks_in_which_nothing_is_a_mention(
    senders: Senders, http: HttpReceiver
) -> None:
    await sent(senders, channel("slack", f"{http.url}/services/T/B/x"))
    document = json.loads(http.received[0].body)
    assert document == {
        "text": "Photos: 2 runs &lt;failed&gt; &amp; *ended*",
        "blocks": [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": LETTER.title, "emoji": False},
            },
            {
                "type": "section",
                "text": {"type": "plain_text", "text": "\n".join(LETTER.lines), "emoji": False},
            },
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "<https://hub.test/tasks/t?a=1&amp;b=2|Look at it>",
                },
            },
        ],
    }


class TestFeishu:
    async def test_it_is_sent_a_signed_post(self, senders: Senders, http: HttpReceiver) -> None:
        http.usual = Answer(body=LARK_OK)
        await sent(senders, channel("feishu", http.url, secret="s1gn"))
        document = json.loads(http.received[0].body)
        stamp = document.pop("timestamp")
        key = f"{stamp}\ns1gn".encode()
        digest = hmac.new(key, digestmod=hashlib.sha256).digest()
        assert document.pop("sign") == base64.b64encode(digest).decode()
        assert stamp == str(int(NOW.timestamp()))
        assert document == {
            "msg_type": "post",
            "content": {
                "post": {
                    "en_us": {
                        "title": LETTER.title,
                        "content": [
                            [{"tag": "text", "text": LETTER.lines[0]}],
                            [{"tag": "text", "text": LETTER.lines[1]}],
                            [{"tag": "a", "text": "Look at it", "href": LETTER.link}],
                        ],
                    }
                }
            },
        }

    async def test_without_a_secret_it_is_not_signed(
        self, senders: Senders, http: HttpReceiver
    ) -> None:
        http.usual = Answer(body=LARK_OK)
        await sent(senders, channel("feishu", http.url))
        assert set(json.loads(http.received[0].body)) == {"msg_type", "content"}

    async def test_its_own_error_is_told(self, senders: Senders, http: HttpReceiver) -> None:
        said = {"code": 19021, "msg": "sign match fail or timestamp is not within one hour"}
        http.usual = Answer(body=json.dumps(said))
        assert "19021" in await fails(senders, channel("feishu", http.url, secret="wrong"))


class TestDingTalk:
    async def test_it_is_sent_a_text_under_a_signed_url(
        self, senders: Senders, http: HttpReceiver
    ) -> None:
        http.usual = Answer(body=OK)
        url = f"{http.url}/robot/send?access_token=abc"
        await sent(senders, channel("dingtalk", url, secret="SECxyz"))
        [got] = http.received
        query = parse_qs(urlsplit(got.target).query)
        [stamp], [sign] = query["timestamp"], query["sign"]
        digest = hmac.new(b"SECxyz", f"{stamp}\nSECxyz".encode(), hashlib.sha256).digest()
        assert base64.b64decode(sign) == digest
        assert (stamp, query["access_token"]) == ("1772600767890", ["abc"])
        assert json.loads(got.body) == {"msgtype": "text", "text": {"content": whole_text()}}

    async def test_its_own_error_is_told_without_the_token(
        self, senders: Senders, http: HttpReceiver
    ) -> None:
        http.usual = Answer(body='{"errcode":300001,"errmsg":"token t0k3nt0k3n is not exist"}')
        url = f"{http.url}/robot/send?access_token=t0k3nt0k3n"
        message = await fails(senders, channel("dingtalk", url))
        assert "300001" in message
        assert "token *** is not exist" in message


async def test_wecom_is_sent_a_text_of_2048_bytes(senders: Senders, http: HttpReceiver) -> None:
    http.usual = Answer(body=OK)
    made = channel("wecom", f"{http.url}/cgi-bin/webhook/send?key=k")
    await sent(senders, made)
    long = Letter(
        ident="i",
        title="T",
        lines=("键" * 2_000,),
        link=LETTER.link,
        link_text="看",
        language=Language.ZH,
        written_at=NOW,
        document={},
    )
    await sent(senders, made, long)
    first, second = (json.loads(got.body) for got in http.received)
    assert first == {"msgtype": "text", "text": {"content": whole_text()}}
    text = second["text"]["content"]
    assert 2_040 < len(text.encode()) <= 2_048
    assert text.endswith(LETTER.link)
    http.usual = Answer(body='{"errcode":93000,"errmsg":"invalid webhook url"}')
    assert "93000" in await fails(senders, made)


def whole_text() -> str:
    return "\n".join((LETTER.title, *LETTER.lines, f"Look at it: {LETTER.link}"))


class TestFailures:
    @pytest.fixture
    def slack(self, http: HttpReceiver) -> Any:
        return channel("slack", f"{http.url}/services/T0/B0/s3cr3ts3cr3t")

    @pytest.mark.parametrize(
        ("answer", "sentence"),
        [
            (Answer(status=500, body=""), "127.0.0.1 answered 500."),
            (Answer(status=404, body="no_service\r\n"), "127.0.0.1 answered 404: no_service"),
            (
                Answer(status=307, headers={"Location": "http://169.254.169.254/"}),
                "127.0.0.1 answered with a redirect (307); give the address itself.",
            ),
            (
                Answer(status=400, body="bad path /services/T0/B0/s3cr3ts3cr3t \x1b[31m"),
                "127.0.0.1 answered 400: bad path /***/T0/B0/*** \\x1b[31m",
            ),
        ],
    )
    async def test_an_answer_that_is_no_success_is_told(
        self, senders: Senders, http: HttpReceiver, slack: Any, answer: Answer, sentence: str
    ) -> None:
        http.usual = answer
        assert await fails(senders, slack) == sentence
        assert len(http.received) == 1

    async def test_a_long_answer_is_cut(
        self, senders: Senders, http: HttpReceiver, slack: Any
    ) -> None:
        http.usual = Answer(status=500, body="x" * 1_000_000)
        assert len(await fails(senders, slack)) < 400

    async def test_a_robot_that_answers_no_json_has_failed(
        self, senders: Senders, http: HttpReceiver
    ) -> None:
        for body in ("<html>", "[0]", "{}", '{"errcode": "0"}'):
            http.usual = Answer(body=body)
            assert "answered 200" in await fails(senders, channel("wecom", http.url))

    async def test_a_receiver_that_says_nothing_is_not_waited_for_for_ever(
        self,
        senders: Senders,
        http: HttpReceiver,
        slack: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(http_sender, "_SECONDS", 0.2)
        http.usual = Answer(hold=True)
        assert "did not answer within" in await fails(senders, slack)

    async def test_a_receiver_that_is_away_and_comes_back(
        self, senders: Senders, http: HttpReceiver, slack: Any
    ) -> None:
        await http.stop()
        message = await fails(senders, slack)
        assert message.startswith("127.0.0.1 cannot be reached")
        assert "s3cr3t" not in message
        await http.start()
        await sent(senders, slack)

    async def test_a_name_without_address_and_a_metadata_service_are_not_reached(
        self, senders: Senders, http: HttpReceiver
    ) -> None:
        none = channel("slack", f"http://nowhere.test:{http.port}/")
        assert await fails(senders, none) == "nowhere.test has no address."
        for host in ("sly.test", "169.254.169.254", "[::ffff:169.254.169.254]"):
            with pytest.raises(SendError, match="metadata service") as caught:
                await sent(senders, channel("slack", f"http://{host}:{http.port}/"))
            assert caught.value.code == "blocked_address"
        assert http.received == []

    async def test_certificates_are_checked_against_the_name(
        self, senders: Senders, tls: ssl.SSLContext
    ) -> None:
        async with HttpReceiver(tls=tls) as secure:
            await sent(senders, channel("slack", f"{secure.url}/"))
            other = channel("slack", f"https://receiver.test:{secure.port}/")
            assert "certificate" in (await fails(senders, other)).lower()
            assert len(secure.received) == 1
        async with AsyncExitStack() as stack:
            strangers = open_senders(stack, resolve=resolve)
            async with HttpReceiver(tls=tls) as secure:
                assert "certificate" in await fails(strangers, channel("slack", secure.url))


def mail_channel(port: int, **more: Any) -> Any:
    values: Mapping[str, Any] = {
        "kind": "email",
        "name": "c",
        "host": "localhost",
        "port": port,
        "sender": "hub@example.org",
        "recipients": ["a@example.org", "b@example.org"],
    }
    return parse_channel({**values, **more})


class TestEmail:
    @pytest.fixture
    async def senders(self, certificates: Certificates) -> AsyncIterator[Senders]:
        async def local(host: str) -> list[str]:
            return {"localhost": ["127.0.0.1"], "far.test": ["192.0.2.1"]}.get(host, [])

        trust = ssl.create_default_context(cafile=certificates.ca)
        async with AsyncExitStack() as stack:
            yield open_senders(stack, resolve=local, trust=trust)

    async def test_it_goes_plain_to_this_machine(self, senders: Senders) -> None:
        async with SmtpReceiver() as server:
            said = await sent(senders, mail_channel(server.port, security="none"))
        assert said == "localhost took it for a@example.org, b@example.org"
        [mail] = server.mails
        assert mail.sender == "hub@example.org"
        assert mail.recipients == ("a@example.org", "b@example.org")
        read = email.message_from_bytes(mail.content, policy=email.policy.default)
        assert read["Subject"] == LETTER.title
        assert read["Message-ID"] == "<0123abcd@data-transfer-hub>"
        assert read["Auto-Submitted"] == "auto-generated"
        assert read["Date"].datetime == NOW.replace(microsecond=0)
        body = read.get_content()
        assert "键" in body
        assert body.rstrip().endswith(f"Look at it: {LETTER.link}")

    async def test_it_goes_nowhere_else_without_tls(self, senders: Senders) -> None:
        far = mail_channel(25, security="none", host="far.test")
        assert "is not on this machine" in await fails(senders, far)

    @pytest.mark.parametrize("from_start", [False, True])
    async def test_it_goes_with_tls_and_a_login(
        self, senders: Senders, tls: ssl.SSLContext, *, from_start: bool
    ) -> None:
        login = ("hub", "p4ssw0rd!")
        security = "tls" if from_start else "starttls"
        async with SmtpReceiver(tls=tls, from_start=from_start, login=login) as server:
            made = mail_channel(server.port, security=security, user="hub", password="p4ssw0rd!")
            await sent(senders, made)
            [mail] = server.mails
            assert (mail.user, mail.secure) == ("hub", True)
            wrong = mail_channel(server.port, security=security, user="hub", password="n0p4ssw0rd")
            message = await fails(senders, wrong)
        assert message.startswith("localhost answered 535")
        assert "n0p4ssw0rd" not in message
        assert len(server.mails) == 1

    @pytest.mark.parametrize("from_start", [False, True])
    async def test_a_strangers_certificate_is_refused(
        self, tls: ssl.SSLContext, *, from_start: bool
    ) -> None:
        async with AsyncExitStack() as stack:
            senders = open_senders(stack, resolve=resolve)
            async with SmtpReceiver(tls=tls, from_start=from_start) as server:
                security = "tls" if from_start else "starttls"
                made = mail_channel(server.port, security=security, host="127.0.0.1")
                assert "no TLS connection: " in await fails(senders, made)
                assert server.mails == []

    async def test_no_password_goes_to_a_server_without_starttls(self, senders: Senders) -> None:
        async with SmtpReceiver() as server:
            made = mail_channel(server.port, user="hub", password="p4ssw0rd!")
            assert "STARTTLS" in await fails(senders, made)
            assert server.mails == []

    async def test_refused_recipients_are_named(self, senders: Senders) -> None:
        async with SmtpReceiver(refused=("a@example.org",)) as server:
            both = mail_channel(server.port, security="none")
            said = await sent(senders, both)
            assert said == (
                "localhost took it, but not for a@example.org (550 5.1.1 Nobody of this name here)"
            )
            one = mail_channel(server.port, security="none", recipients=["a@example.org"])
            assert "550 5.1.1 Nobody of this name here" in await fails(senders, one)
            assert len(server.mails) == 1

    async def test_a_busy_server_is_told_and_asked_again(self, senders: Senders) -> None:
        async with SmtpReceiver(busy=1) as server:
            made = mail_channel(server.port, security="none")
            assert await fails(senders, made) == "localhost answered 451 4.3.0 Come back later"
            await sent(senders, made)
            assert len(server.mails) == 1

    async def test_a_server_that_is_away_or_silent_is_told(
        self, senders: Senders, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with HttpReceiver() as away:
            await away.stop()
            refused = await fails(senders, mail_channel(away.port, security="none"))
            assert refused == "localhost cannot be reached: Connection refused"
            await away.start()
        monkeypatch.setattr(smtp_sender, "_SECONDS", 0.2)
        async with HttpReceiver() as silent:  # it waits for a request, and the client for a word
            made = mail_channel(silent.port, security="none")
            assert "did not answer" in await fails(senders, made)
