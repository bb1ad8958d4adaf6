"""Which skopeo is taken, and what is said of one that cannot be; none of it needs a real one."""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.skopeo_ends import LIMIT
from tests.integration.skopeo_ends import running as running_with
from transferhub.errors import CorruptError, RunError, TransientError
from transferhub.registries import Digest, Login, RegistryConfig, skopeo
from transferhub.registries.skopeo import Carriage, End, Program, Skopeo, find_skopeo
from transferhub.stores.s3.transport import TransportConfig

DIGEST = Digest(f"sha256:{'0' * 64}")


def script(folder: Path, body: str) -> Path:
    program = folder / "skopeo"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return program


def end(host: str, login: Login | None = None, *, proxy: str = "") -> End:
    registry = RegistryConfig(host=host, transport=TransportConfig(proxy=proxy))
    return End(registry=registry, repository="a/b", login=login)


def carriage(source: End, destination: End) -> Carriage:
    return Carriage(source=source, digest=DIGEST, destination=destination, reference="v1")


def skopeo_of(program: Path, folder: Path) -> Skopeo:
    return Skopeo(
        Program(path=program, version="1.9.3"),
        folder=folder / "private",
        cache=folder / "cache",
        environment={"PATH": os.environ["PATH"], "TOKEN": "t0ken"},
    )


class TestFinding:
    @pytest.mark.parametrize("folders", [{}, {"PATH": ""}, {"PATH": "/nowhere"}])
    async def test_a_missing_one_is_told_with_how_to_install_it(
        self, folders: dict[str, str]
    ) -> None:
        with pytest.raises(RunError) as caught:
            await find_skopeo(folders)
        assert caught.value.code == "no_skopeo"
        for command in ("apt-get", "dnf", "brew"):
            assert f"{command} install skopeo" in caught.value.message
        assert "\n" not in caught.value.message

    @pytest.mark.parametrize("version", ["1.5.2", "0.1.40", "1.5"])
    async def test_one_that_is_too_old_is_told(self, version: str, tmp_path: Path) -> None:
        script(tmp_path, f"echo skopeo version {version}")
        with pytest.raises(RunError, match=f"is version {version}, and 1.6 or newer") as caught:
            await find_skopeo({"PATH": str(tmp_path)})
        assert caught.value.code == "no_skopeo"

    @pytest.mark.parametrize("version", ["1.6", "1.9.3", "1.20.0-dev commit: 0a", "2.0"])
    async def test_one_that_is_new_enough_is_taken(self, version: str, tmp_path: Path) -> None:
        program = script(tmp_path, f"echo skopeo version {version}")
        found = await find_skopeo({"PATH": str(tmp_path)})
        assert found.path == program
        assert version.startswith(found.version)

    @pytest.mark.parametrize("body", ["exit 1", "echo hello", "kill -9 $$"])
    async def test_one_that_is_something_else_is_told(self, body: str, tmp_path: Path) -> None:
        script(tmp_path, body)
        with pytest.raises(RunError, match="does not run as skopeo does"):
            await find_skopeo({"PATH": str(tmp_path)})

    async def test_one_that_hangs_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(skopeo, "_VERSION_PATIENCE", timedelta(seconds=0.2))
        script(tmp_path, f"exec {sys.executable} -c 'import time; time.sleep(60)' {tmp_path}")
        with pytest.raises(RunError, match="does not run as skopeo does"):
            await find_skopeo({"PATH": str(tmp_path)})
        assert not running_with(str(tmp_path))


class TestRunning:
    async def test_one_that_was_removed_since_is_told(self, tmp_path: Path) -> None:
        gone = skopeo_of(tmp_path / "gone", tmp_path)
        with pytest.raises(RunError) as caught:
            await gone.copy(carriage(end("x"), end("y")), time_limit=LIMIT)
        assert caught.value.code == "no_skopeo"
        assert not list((tmp_path / "private").iterdir())

    async def test_a_secret_in_its_words_is_taken_out(self, tmp_path: Path) -> None:
        program = script(tmp_path, "echo 'level=fatal msg=\"pa55-w0rd pr0xy-pass\"' >&2; exit 1")
        login = Login(user="me", password="pa55-w0rd")
        source = end("x", login, proxy="http://me:pr0xy-pass@proxy:3128")
        with pytest.raises(TransientError) as caught:
            await skopeo_of(program, tmp_path).copy(carriage(source, end("y")), time_limit=LIMIT)
        assert "(*** ***)" in caught.value.message

    async def test_it_gets_nothing_of_our_environment_but_what_it_needs(
        self, tmp_path: Path
    ) -> None:
        program = script(tmp_path, f"env > {tmp_path}/env; exit 1")
        source = end("x", proxy="http://proxy:3128")
        with pytest.raises(TransientError):
            await skopeo_of(program, tmp_path).copy(
                carriage(source, end("y:5000")), time_limit=LIMIT
            )
        told = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
        assert "TOKEN" not in told
        assert told["HTTPS_PROXY"] == "http://proxy:3128"
        assert told["NO_PROXY"] == "y:5000"

    async def test_children_of_it_end_with_it(self, tmp_path: Path) -> None:
        program = script(
            tmp_path,
            f"{sys.executable} -c 'import time; time.sleep(60)' {tmp_path} & touch {tmp_path}/up;"
            " wait",
        )
        begun = time.monotonic()
        with pytest.raises(TransientError) as caught:
            await skopeo_of(program, tmp_path).copy(
                carriage(end("x"), end("y")), time_limit=timedelta(seconds=0.5)
            )
        assert caught.value.code == "timeout"
        assert (tmp_path / "up").exists()
        assert not running_with(f"{tmp_path}\0")
        assert time.monotonic() - begun < 10

    async def test_an_endless_flood_of_words_is_borne(self, tmp_path: Path) -> None:
        program = script(tmp_path, "head -c 20000000 /dev/zero >&2; exit 3")
        with pytest.raises(TransientError, match="it ended with status 3") as caught:
            await skopeo_of(program, tmp_path).copy(carriage(end("x"), end("y")), time_limit=LIMIT)
        assert len(caught.value.message) < 1_000

    async def test_a_success_that_wrote_another_digest_is_none(self, tmp_path: Path) -> None:
        body = 'for word; do case $word in --digestfile=*) echo sha256:1 >"${word#*=}";; esac; done'
        program = script(tmp_path, body)
        with pytest.raises(CorruptError, match="wrote the digest sha256:1"):
            await skopeo_of(program, tmp_path).copy(carriage(end("x"), end("y")), time_limit=LIMIT)

    async def test_a_success_that_wrote_nothing_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptError, match="wrote the digest of nothing"):
            await skopeo_of(script(tmp_path, "exit 0"), tmp_path).copy(
                carriage(end("x"), end("y")), time_limit=LIMIT
            )
