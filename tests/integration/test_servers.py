"""The servers and faults that other tests lean on do what they say."""

import asyncio
import http.client
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import BucketFactory, ProxyFactory
from tests.servers.boto import Body, Boto
from tests.servers.endpoint import Endpoint, answers_list_buckets
from tests.servers.faults import FaultProxy
from tests.servers.moto import MotoServer
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerError, ServerProcess, find_program, free_ports
from tests.servers.rclone import RcloneS3
from tests.servers.rules import (
    Action,
    CorruptByte,
    CorruptSentByte,
    DropResponse,
    Hold,
    Latency,
    Reset,
    ResetBody,
    ShortenBody,
    Stall,
    StallBody,
    Status,
    TruncateBody,
    WrongETag,
)
from tests.servers.seaweedfs import SeaweedFS
from tests.servers.synthetic import Keys, SyntheticServer

CONTENT = bytes(range(256)) * 1024
KEY = "folder/a b+c%2F ü.bin"

Clients = Callable[[Endpoint], Boto]


class Raw:
    """Plain HTTP on one connection, without retries: what a client meets, byte for byte."""

    def __init__(self, endpoint: Endpoint, *, timeout_s: float = 5.0) -> None:
        self.connection = http.client.HTTPConnection(endpoint.url[7:], timeout=timeout_s)

    def ask(
        self, method: str, target: str, body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        self.connection.request(method, target, body=body)
        answer = self.connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()


@pytest.fixture(scope="session")
def synthetic() -> Iterator[SyntheticServer]:
    keys = Keys(count=2500, prefix="flat & co/", omit_every=10, touch_every=7)
    with SyntheticServer(keys) as server:
        yield server


@pytest.fixture
def front(fault_proxy: ProxyFactory, rclone_s3: RcloneS3) -> tuple[FaultProxy, Endpoint]:
    return fault_proxy(rclone_s3.endpoint)


@pytest.fixture
def proxy(front: tuple[FaultProxy, Endpoint]) -> FaultProxy:
    return front[0]


@pytest.fixture
def through(front: tuple[FaultProxy, Endpoint]) -> Iterator[Boto]:
    """A client of the server behind `proxy` that retries nothing."""
    with Boto(front[1], attempts=1, timeout_s=2) as client:
        yield client


@pytest.fixture
def raw(front: tuple[FaultProxy, Endpoint]) -> Iterator[Raw]:
    client = Raw(front[1])
    yield client
    client.connection.close()


@pytest.fixture
def held(rclone_s3: RcloneS3, make_bucket: BucketFactory, boto: Clients) -> str:
    """A bucket behind `proxy` that holds KEY."""
    name = make_bucket(rclone_s3.endpoint)
    boto(rclone_s3.endpoint).put(name, KEY, CONTENT)
    return name


class TestProcess:
    def test_one_that_ends_early_shows_its_log(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", "print('no disk'); raise SystemExit(3)"]
        server = ServerProcess(command, folder=tmp_path, ready=lambda: False, name="early")
        with pytest.raises(ServerError, match="ended before it was ready:\nno disk"):
            server.start()

    def test_one_that_never_gets_ready_is_stopped(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        server = ServerProcess(
            command, folder=tmp_path, ready=lambda: False, name="slow", ready_within_s=0.2
        )
        with pytest.raises(ServerError, match="slow was not ready in"):
            server.start()
        assert not server.running

    def test_one_that_ignores_the_request_to_end_is_killed(self, tmp_path: Path) -> None:
        program = (
            "import pathlib, signal, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "pathlib.Path('up').touch(); time.sleep(60)"
        )
        with ServerProcess(
            [sys.executable, "-c", program],
            folder=tmp_path,
            ready=(tmp_path / "up").exists,
            name="stubborn",
            stop_within_s=0.2,
        ) as server:
            assert server.running
        assert not server.running

    def test_it_dies_with_a_parent_that_is_killed(self, tmp_path: Path) -> None:
        program = (
            "import pathlib, sys, time\n"
            "from tests.servers.process import ServerProcess\n"
            "server = ServerProcess(['sleep', '60'], folder=pathlib.Path(sys.argv[1]),"
            " ready=lambda: True, name='sleep')\n"
            "server.start(); print(server.pid, flush=True); time.sleep(60)"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        with parent:
            assert parent.stdout is not None
            stat = Path("/proc") / parent.stdout.readline().decode().strip() / "stat"
            assert stat.exists()
            parent.kill()
        eventually(lambda: not stat.exists() or b") Z " in stat.read_bytes())

    def test_a_missing_program_is_named(self) -> None:
        with pytest.raises(ServerError, match="nonesuch is not installed: buy one"):
            find_program("nonesuch", install="buy one")

    def test_free_ports_are_distinct(self) -> None:
        assert len(set(free_ports(20))) == 20

    def test_a_port_is_given_once_although_nobody_listens_there_yet(self) -> None:
        given = [port for _ in range(10) for port in free_ports(30)]
        assert len(set(given)) == 300


def eventually(true: Callable[[], bool], *, within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestServers:
    @pytest.fixture(params=["seaweedfs", "rclone", "moto"])
    def endpoint(self, request: pytest.FixtureRequest) -> Endpoint:
        if request.param == "seaweedfs":
            server: SeaweedFS = request.getfixturevalue("seaweedfs")
            return server.admin
        fixture = {"rclone": "rclone_s3", "moto": "moto_s3"}[request.param]
        other: RcloneS3 | MotoServer = request.getfixturevalue(fixture)
        return other.endpoint

    def test_it_keeps_objects(
        self, endpoint: Endpoint, make_bucket: BucketFactory, boto: Clients
    ) -> None:
        bucket, client = make_bucket(endpoint), boto(endpoint)
        objects = {f"k/{number:02}": bytes([number]) * number for number in range(1, 40)}
        typed = Body(content=b"{}", options={"ContentType": "application/json"})
        client.put_objects(bucket, {**objects, "typed": typed})

        sizes = {key: entry.size for key, entry in client.listing(bucket).items()}
        assert sizes == {**{key: len(content) for key, content in objects.items()}, "typed": 2}
        assert client.get(bucket, "k/39") == objects["k/39"]
        assert client.head(bucket, "typed")["ContentType"] == "application/json"
        client.delete_all(bucket)
        assert client.listing(bucket) == {}

    def test_it_takes_an_object_in_parts(
        self, endpoint: Endpoint, make_bucket: BucketFactory, boto: Clients
    ) -> None:
        bucket, client = make_bucket(endpoint), boto(endpoint)
        content = CONTENT * 24
        etag = client.put_multipart(bucket, "big", content)
        assert etag.endswith("-2")
        assert client.get(bucket, "big") == content
        assert client.uploads(bucket) == []

    def test_buckets_are_gone_after_their_scope(self, endpoint: Endpoint, boto: Clients) -> None:
        client = boto(endpoint)
        with client.bucket("scoped-bucket"):
            client.put("scoped-bucket", "key", b"x")
        names = [bucket["Name"] for bucket in client.client.list_buckets()["Buckets"]]
        assert "scoped-bucket" not in names

    def test_the_reader_may_not_write(
        self, seaweedfs: SeaweedFS, bucket: str, boto: Clients
    ) -> None:
        boto(seaweedfs.admin).put(bucket, "key", b"x")
        reader = boto(seaweedfs.reader)
        assert reader.get(bucket, "key") == b"x"
        with pytest.raises(ClientError, match="AccessDenied"):
            reader.put(bucket, "other", b"x")

    def test_wrong_credentials_are_refused(self, seaweedfs: SeaweedFS, rclone_s3: RcloneS3) -> None:
        for endpoint in (seaweedfs.admin, rclone_s3.endpoint):
            stranger = Endpoint(url=endpoint.url, access_key_id="ADMINKEY", secret_access_key="no")
            assert not answers_list_buckets(stranger)

    def test_two_seaweedfs_share_nothing(
        self, seaweedfs: SeaweedFS, seaweedfs_b: SeaweedFS, bucket: str, boto: Clients
    ) -> None:
        boto(seaweedfs.admin).put(bucket, "key", b"x")
        with pytest.raises(ClientError, match="NoSuchBucket"):
            boto(seaweedfs_b.admin).listing(bucket)

    def test_seaweedfs_speaks_https_and_to_anyone(
        self, seaweedfs_https: SeaweedFS, make_bucket: BucketFactory, boto: Clients
    ) -> None:
        bucket = make_bucket(seaweedfs_https.https)
        boto(seaweedfs_https.https).put(bucket, "key", b"x")
        with Boto(seaweedfs_https.admin, anonymous=True) as anyone:
            assert anyone.get(bucket, "key") == b"x"
            with pytest.raises(ClientError, match="AccessDenied"):
                anyone.put(bucket, "key", b"y")

    def test_https_needs_its_ca(self, seaweedfs_https: SeaweedFS) -> None:
        untrusted = Endpoint(
            url=seaweedfs_https.https.url, access_key_id="ADMINKEY", secret_access_key="s"
        )
        with (
            Boto(untrusted, attempts=1) as client,
            pytest.raises(BotoCoreError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            client.client.list_buckets()

    def test_each_database_is_empty_and_ones_own(
        self, postgres: PostgresServer, postgres_url: str
    ) -> None:
        other = postgres.create_database()
        with psycopg.connect(postgres_url) as connection:
            connection.execute("CREATE TABLE here (id int)")
        with psycopg.connect(other) as connection:
            row = connection.execute("SELECT to_regclass('here')").fetchone()
            assert row == (None,)
            version = connection.info.server_version
        postgres.drop_database(other)
        assert version >= 15_00_00


class TestSynthetic:
    def test_pages_add_up_to_all_keys_in_order(self, synthetic: SyntheticServer) -> None:
        with Boto(synthetic.endpoint) as client:
            listing = client.listing("any")
        numbers = [number for number in range(2500) if (number + 1) % 10]
        assert list(listing) == [f"flat & co/{number:04}" for number in numbers]
        touched = [key for key, entry in listing.items() if entry.size == 10241]
        assert touched == [f"flat & co/{n:04}" for n in numbers if (n + 1) % 7 == 0]
        assert len({entry.etag for entry in listing.values()}) == len(listing)

    @pytest.mark.parametrize(
        ("options", "keys"),
        [
            ({"StartAfter": "flat & co/2496x"}, ["2497", "2498"]),
            ({"StartAfter": "flat & co/2497"}, ["2498"]),
            ({"StartAfter": "g"}, []),
            ({"StartAfter": "a", "MaxKeys": 2}, ["0000", "0001"]),
            ({"Prefix": "flat & co/249", "StartAfter": "flat & co/2497"}, ["2498"]),
            ({"Prefix": "flat & co/3"}, []),
            ({"Prefix": "other/"}, []),
        ],
    )
    def test_it_starts_and_ends_where_asked(
        self, synthetic: SyntheticServer, options: dict[str, Any], keys: list[str]
    ) -> None:
        with Boto(synthetic.endpoint) as client:
            answer = client.client.list_objects_v2(Bucket="any", **options)
        assert [entry["Key"] for entry in answer.get("Contents", ())] == [
            f"flat & co/{key}" for key in keys
        ]

    def test_a_delimiter_folds_the_keys(self, synthetic: SyntheticServer) -> None:
        with Boto(synthetic.endpoint) as client:
            answer = client.client.list_objects_v2(Bucket="any", Delimiter="/")
            assert answer["CommonPrefixes"] == [{"Prefix": "flat & co/"}]
            assert "Contents" not in answer

    def test_it_knows_its_keys(self, synthetic: SyntheticServer) -> None:
        with Boto(synthetic.endpoint) as client:
            client.client.head_bucket(Bucket="any")
            assert client.head("any", "flat & co/0006")["ContentLength"] == 10241
            assert len(client.get("any", "flat & co/0007")) == 10240
            with pytest.raises(ClientError, match="404"):
                client.head("any", "flat & co/0009")


class TestProxyWithoutRules:
    def test_signed_requests_pass_unchanged(
        self,
        seaweedfs: SeaweedFS,
        bucket: str,
        fault_proxy: ProxyFactory,
    ) -> None:
        proxy, endpoint = fault_proxy(seaweedfs.admin)
        with Boto(endpoint) as client:
            client.put(bucket, KEY, CONTENT, Metadata={"note": "kept"})
            client.put_multipart(bucket, "big", CONTENT * 24)
            assert client.get(bucket, KEY) == CONTENT
            assert client.get(bucket, "big") == CONTENT * 24
            assert client.head(bucket, KEY)["Metadata"] == {"note": "kept"}
            assert set(client.listing(bucket)) == {KEY, "big"}
            client.delete(bucket, [KEY])
        kinds = [seen.operation for seen in proxy.seen]
        assert kinds == [
            "PutObject",
            "CreateMultipartUpload",
            "UploadPart",
            "UploadPart",
            "CompleteMultipartUpload",
            "GetObject",
            "GetObject",
            "HeadObject",
            "ListObjectsV2",
            "DeleteObjects",
        ]
        assert {seen.status for seen in proxy.seen} == {200}
        assert proxy.seen[0].request.path == f"/{bucket}/{KEY}"
        assert proxy.count("GetObject", status=200) == 2

    def test_chunked_bodies_pass_both_ways(self, fault_proxy: ProxyFactory) -> None:
        echo = _Echo()
        with echo:
            proxy, endpoint = fault_proxy(
                Endpoint(url=echo.url, access_key_id="a", secret_access_key="b")
            )
            raw = Raw(endpoint)
            for size in (1, 70_000, 3_000_000):
                chunks = [b"c" * size, b"d" * 3]
                raw.connection.request("PUT", "/b/k", body=iter(chunks), encode_chunked=True)
                assert raw.connection.getresponse().read() == b"".join(chunks)
            raw.connection.close()
        assert [seen.status for seen in proxy.seen] == [200, 200, 200]

    def test_a_server_that_is_down_resets(self, fault_proxy: ProxyFactory) -> None:
        (port,) = free_ports(1)
        nobody = Endpoint(url=f"http://127.0.0.1:{port}", access_key_id="a", secret_access_key="b")
        _, endpoint = fault_proxy(nobody)
        raw = Raw(endpoint)
        with pytest.raises(OSError, match="reset"):
            raw.ask("GET", "/b/k")
        raw.connection.close()


class _Echo:
    """Answers each PUT with its body, chunked."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                body = b""
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readexactly(2)
                half = len(body) // 2
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for piece in filter(None, (body[:half], body[half:])):
                    writer.write(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
                writer.write(b"0\r\nx-trailer: 1\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5)
        await asyncio.sleep(0.01)

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class TestRules:
    def test_latency_does_not_serialise(self, proxy: FaultProxy, through: Boto, held: str) -> None:
        proxy.add(Latency(0.3))
        begun = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            contents = list(pool.map(lambda _: through.get(held, KEY), range(16)))
        assert contents == [CONTENT] * 16
        assert 0.3 <= time.monotonic() - begun < 1.5

    def test_latencies_add_up(self, proxy: FaultProxy, through: Boto, held: str) -> None:
        proxy.add(Latency(0.1))
        proxy.add(Latency(0.15), operation="HeadObject")
        through.head(held, KEY)
        (seen,) = proxy.seen
        assert seen.seconds is not None
        assert seen.seconds >= 0.25

    def test_slow_down_for_a_while(self, proxy: FaultProxy, through: Boto, held: str) -> None:
        rule = proxy.add(Status(), operation="PutObject", times=2)
        for _ in range(2):
            with pytest.raises(ClientError, match=r"\(SlowDown\).*reduce your request rate"):
                through.put(held, "new", CONTENT)
        through.put(held, "new", CONTENT)
        assert rule.hits == 2
        assert [seen.status for seen in proxy.seen] == [503, 503, 200]
        assert through.get(held, "new") == CONTENT

    def test_any_status_and_header(self, proxy: FaultProxy, raw: Raw, held: str) -> None:
        action = Status(status=500, code="InternalError", headers=(("Retry-After", "7"),))
        proxy.add(action, method="GET")
        status, headers, body = raw.ask("GET", f"/{held}/x")
        assert (status, headers["retry-after"]) == (500, "7")
        assert b"<Code>InternalError</Code>" in body

    def test_a_share_of_the_requests(self, proxy: FaultProxy, raw: Raw, held: str) -> None:
        rule = proxy.add(Status(), probability=0.25, seed=1)
        failed = sum(raw.ask("GET", f"/{held}/x")[0] == 503 for _ in range(200))
        assert failed == rule.hits
        assert 30 <= failed <= 70

    def test_matching_by_occurrence_path_query_and_more(self, proxy: FaultProxy, raw: Raw) -> None:
        proxy.add(Status(code="Second"), path=r"^/b/p/", skip=1, times=1)
        proxy.add(Status(code="Part"), query={"partNumber": "2"})
        proxy.add(Status(code="When"), when=lambda request: "range" in request.headers)

        def code(target: str, **headers: str) -> str:
            raw.connection.request("GET", target, headers=headers)
            body = raw.connection.getresponse().read().decode()
            return body.partition("<Code>")[2].partition("</Code>")[0]

        codes = [code("/b/p/1"), code("/b/p/%2F2"), code("/b/p/3")]
        assert codes[1] == "Second"
        assert "Second" not in (codes[0], codes[2])
        assert code("/b/q?partNumber=2&uploadId=u") == "Part"
        assert code("/b/q?partNumber=22") != "Part"
        assert code("/b/q", Range="bytes=0-1") == "When"

    def test_a_removed_rule_has_no_effect(
        self, proxy: FaultProxy, through: Boto, held: str
    ) -> None:
        rule = proxy.add(Status())
        proxy.remove(rule)
        through.head(held, KEY)
        proxy.clear()
        assert proxy.seen == ()

    @pytest.mark.parametrize(
        ("action", "received"), [(ResetBody(100_000), None), (TruncateBody(100_000), 100_000)]
    )
    def test_a_body_breaks_off(
        self, proxy: FaultProxy, through: Boto, held: str, action: Action, received: int | None
    ) -> None:
        proxy.add(action, operation="GetObject", times=1)
        body = through.client.get_object(Bucket=held, Key=KEY)["Body"]._raw_stream  # noqa: SLF001
        with pytest.raises(Exception, match=r"IncompleteRead|reset") as caught:
            body.read()
        if received is not None:
            assert f"IncompleteRead({received} bytes read" in str(caught.value)
        assert through.get(held, KEY) == CONTENT

    def test_a_body_stalls(self, proxy: FaultProxy, through: Boto, held: str) -> None:
        proxy.add(StallBody(1000), times=1)
        begun = time.monotonic()
        with pytest.raises(BotoCoreError, match="Read timeout"):
            through.get(held, KEY)
        assert time.monotonic() - begun > 1.9

    def test_a_body_is_shortened_in_silence(
        self, proxy: FaultProxy, through: Boto, held: str
    ) -> None:
        proxy.add(ShortenBody(10), operation="GetObject", times=1)
        assert through.get(held, KEY) == CONTENT[:-10]
        assert through.get(held, KEY) == CONTENT
        assert len({seen.target for seen in proxy.seen}) == 1

    def test_one_byte_is_wrong(self, proxy: FaultProxy, through: Boto, held: str) -> None:
        proxy.add(CorruptByte(200_000), operation="GetObject")
        content = through.get(held, KEY)
        different = [at for at, byte in enumerate(content) if byte != CONTENT[at]]
        assert (len(content), different) == (len(CONTENT), [200_000])

    def test_one_byte_of_what_is_sent_is_wrong(
        self, proxy: FaultProxy, through: Boto, held: str
    ) -> None:
        proxy.add(CorruptSentByte(200_000), operation="PutObject")
        through.put(held, "new", CONTENT)
        content = through.get(held, "new")
        different = [at for at, byte in enumerate(content) if byte != CONTENT[at]]
        assert (len(content), different) == (len(CONTENT), [200_000])

    def test_the_etag_is_wrong(self, proxy: FaultProxy, through: Boto, held: str) -> None:
        proxy.add(WrongETag('"beef"'), operation="PutObject")
        assert through.put(held, "new", CONTENT) == "beef"
        assert through.head(held, "new")["ETag"] != '"beef"'

    @pytest.mark.parametrize("action", [Reset(), DropResponse()])
    def test_no_answer_but_a_reset(
        self, proxy: FaultProxy, through: Boto, held: str, action: Action
    ) -> None:
        proxy.add(action, operation="PutObject")
        with pytest.raises(BotoCoreError, match=r"reset|closed"):
            through.put(held, "new", CONTENT)
        carried_out = "new" in through.listing(held)
        assert carried_out == isinstance(action, DropResponse)
        assert proxy.seen[0].status == (200 if carried_out else None)

    def test_a_stalled_request_gets_no_answer(
        self, proxy: FaultProxy, through: Boto, held: str
    ) -> None:
        proxy.add(Stall(), operation="PutObject")
        with pytest.raises(BotoCoreError, match="timeout"):
            through.put(held, "new", CONTENT)
        assert "new" not in through.listing(held)

    def test_refusing_is_being_down(self, proxy: FaultProxy, through: Boto, held: str) -> None:
        through.head(held, KEY)
        proxy.refuse()
        with pytest.raises(BotoCoreError, match="Could not connect"):
            through.head(held, KEY)
        proxy.accept()
        through.head(held, KEY)

    def test_disconnecting_spares_new_connections(
        self, proxy: FaultProxy, raw: Raw, held: str
    ) -> None:
        raw.ask("GET", f"/{held}/x")
        proxy.disconnect()
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            raw.ask("GET", f"/{held}/x")
        raw.connection.close()
        raw.ask("GET", f"/{held}/x")

    def test_large_uploads_pass_a_delay(self, proxy: FaultProxy, through: Boto, held: str) -> None:
        proxy.add(Latency(0.2), operation="PutObject")
        content = CONTENT * 60
        through.put(held, "large", content)
        assert through.get(held, "large") == content


class TestHold:
    @pytest.fixture
    def putting(self, through: Boto, held: str) -> Iterator[Callable[[], Future[str]]]:
        with ThreadPoolExecutor(1) as pool:
            yield lambda: pool.submit(through.put, held, "new", CONTENT)

    @pytest.mark.parametrize("response", [False, True])
    def test_a_request_or_its_response_waits(
        self,
        proxy: FaultProxy,
        through: Boto,
        held: str,
        putting: Callable[[], Future[str]],
        response: bool,
    ) -> None:
        hold = Hold(response=response)
        proxy.add(hold, operation="PutObject")
        put = putting()
        hold.wait(5)
        assert not put.done()
        assert ("new" in through.listing(held)) == response
        hold.release()
        put.result(5)
        assert through.get(held, "new") == CONTENT
        through.put(held, "released", b"x")

    def test_nobody_came(self, proxy: FaultProxy) -> None:
        hold = Hold()
        proxy.add(hold)
        with pytest.raises(TimeoutError, match="no request was held"):
            hold.wait(0.05)

    def test_the_client_can_be_killed_while_it_waits(
        self, proxy: FaultProxy, front: Any, held: str, through: Boto, tmp_path: Path
    ) -> None:
        endpoint = front[1]
        program = (
            "import sys\n"
            "from tests.servers.boto import Boto\n"
            "from tests.servers.endpoint import Endpoint\n"
            "url, key, secret, bucket = sys.argv[1:]\n"
            "at = Endpoint(url=url, access_key_id=key, secret_access_key=secret)\n"
            "Boto(at).put(bucket, 'new', b'x' * 300_000)"
        )
        hold = Hold()
        proxy.add(hold, operation="PutObject")
        secrets = (endpoint.url, endpoint.access_key_id, endpoint.secret_access_key, held)
        client = subprocess.Popen(
            [sys.executable, "-c", program, *secrets], cwd=Path(__file__).parents[2]
        )
        hold.wait(15)
        client.kill()
        assert client.wait() == -signal.SIGKILL
        hold.release()
        assert "new" not in through.listing(held)


def test_the_proxy_runs_as_a_command(rclone_s3: RcloneS3) -> None:
    (port,) = free_ports(1)
    upstream = rclone_s3.endpoint.url.removeprefix("http://")
    command = [sys.executable, "-m", "tests.servers.faults", "--upstream", upstream]
    with subprocess.Popen(
        [*command, "--latency", "0.1", "--port", str(port)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as proxy:
        assert proxy.stdout is not None
        assert proxy.stdout.readline() == b"listening on http://127.0.0.1:%d\n" % port
        begun = time.monotonic()
        assert answers_list_buckets(rclone_s3.endpoint.at(f"http://127.0.0.1:{port}"))
        assert time.monotonic() - begun >= 0.1
        proxy.terminate()
    assert proxy.returncode == 0


def test_a_full_seaweedfs_refuses_writes() -> None:
    with (
        SeaweedFS(volume_max=1, volumes_per_bucket=1) as server,
        Boto(server.admin, attempts=1) as client,
    ):
        client.create_bucket("first")
        client.put("first", "key", b"x" * 10_000)
        client.create_bucket("second")
        with pytest.raises(ClientError) as caught:
            client.put("second", "key", b"x" * 10_000)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
