"""Whom the real `dth up` serves, and how its settings are given."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from tests.acceptance.command import Dth, Running
from tests.acceptance.processes import wait_until
from tests.servers.certificates import Certificates, make_certificates

PUBLIC = "https://hub.example.com"
EVERYBODY = "0.0.0.0"  # noqa: S104 - that it listens there is the test


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def serving(dth: Dth, scope: ExitStack, *words: object) -> Running:
    running = scope.enter_context(dth.start("up", "--port", 0, *words))
    wait_until(lambda: "the hub is at" in running.out, f"the hub: {running.err}")
    return running


def port_of(running: Running) -> int:
    """The one that the server's process listens on."""
    inodes = set(sockets_of(running.process.pid))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    [port] = {
        int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes
    }
    return port


def sockets_of(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            yield link.readlink().name.removeprefix("socket:[").removesuffix("]")


def create_user(dth: Dth) -> None:
    dth.well("user", "create", "ada", "--role", "admin", given="a-long-password-of-ada\n")


def answer(connection: HTTPConnection, host: str) -> int:
    connection.request("GET", "/healthz", headers={"host": host})
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_hub_for_others_is_refused_with_what_is_missing(dth: Dth) -> None:
    refused = dth.well("up", "--host", EVERYBODY, "--port", 0, code=2)
    for advice in ("--tls-certificate", "--behind-proxy", "--public-url", "dth user create"):
        assert advice in refused.err
    assert refused.out == ""


def test_a_hub_with_tls_and_a_user_serves_others_by_its_name(
    dth: Dth, certificates: Certificates
) -> None:
    create_user(dth)
    file = dth.folder / "dth.toml"
    file.write_text(
        f'host = "{EVERYBODY}"\npublic_url = "{PUBLIC}"\nruns = 0\n'
        f'tls_certificate = "{certificates.certificate}"\ntls_key = "{certificates.key}"\n'
    )
    trust = ssl.create_default_context(cafile=str(certificates.ca))
    with ExitStack() as scope:
        hub = serving(dth, scope, "--config", file)
        assert f"the hub is at {PUBLIC}/" in hub.out
        assert "#token=" not in hub.out  # others may read what a service says
        port = port_of(hub)

        def ask(host: str) -> int:
            return answer(HTTPSConnection("127.0.0.1", port, timeout=10, context=trust), host)

        assert ask("hub.example.com") == 200
        assert ask(f"127.0.0.1:{port}") == 200
        assert ask("elsewhere.example.com") == 421


def test_a_hub_behind_a_proxy_serves_by_the_name_of_the_proxy(dth: Dth) -> None:
    create_user(dth)
    words = ("--behind-proxy", "--public-url", PUBLIC, "--runs", 0)
    with ExitStack() as scope:
        hub = serving(dth, scope, *words)
        port = port_of(hub)
        assert answer(HTTPConnection("127.0.0.1", port, timeout=10), "hub.example.com") == 200
        assert answer(HTTPConnection("127.0.0.1", port, timeout=10), "elsewhere") == 421


def test_a_key_that_does_not_fit_is_named(dth: Dth, certificates: Certificates) -> None:
    words = ("--tls-certificate", certificates.certificate, "--tls-key", certificates.ca)
    refused = dth.well("up", "--port", 0, *words, code=2)
    assert refused.err.startswith("dth: --tls-certificate: it, or --tls-key, is no PEM")
    assert refused.err.count("\n") == 1


def test_faults_of_files_variables_and_flags_are_told_at_once(dth: Dth) -> None:
    config = dth.home / ".config" / "dth"
    config.mkdir(parents=True)
    (config / "dth.toml").write_text('prot = 1\nkeep_runs = "week"\n')
    given = dth.having(DTH_OIDC_EVERYONE="boss")
    refused = given.well("up", "--port", "http", code=2)
    for fault in (
        f"dth: {config}/dth.toml: prot: there is no such setting; did you mean port?\n",
        f"dth: {config}/dth.toml: keep_runs: ",
        "dth: DTH_OIDC_EVERYONE: ",
        "dth: --port: ",
    ):
        assert fault in refused.err
    assert dth.well("runs", code=2).err.count("did you mean port?") == 1


def test_a_file_holds_for_a_transfer_too(dth: Dth, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "key").write_bytes(b"content")
    file = tmp_path / "mine.toml"
    file.write_text('concurrency = 1\nport = 1\nstate = "/nowhere/to/be/found"\n')
    words = (f"file://{source}", f"file://{tmp_path}/destination", "--config", file)
    assert dth.transfer(*words)["done"] == 1
    doctor = dth.having(DTH_CONFIG=str(file)).well("doctor", "--json").json["findings"]
    found = {each["name"]: (each["value"], each["origin"]) for each in doctor}
    assert found["concurrency"] == ("1", f"file {file}")
    assert found["port"] == ("1", f"file {file}")
    assert found["state"] == (str(dth.state), "environment DTH_STATE")
    assert "reports" in found["disk use"][0]


def test_a_password_that_others_can_see_is_told_and_not_repeated(dth: Dth) -> None:
    url = "postgresql://me:a-password-of-a-database@127.0.0.1:9/dth"
    dth = dth.having("a-password-of-a-database")
    for words in (["worker"], ["database", "upgrade"]):
        ended = dth.well(*words, "--database", url, code=3)
        assert "--database holds a password, which other users of this machine can see" in ended.err
