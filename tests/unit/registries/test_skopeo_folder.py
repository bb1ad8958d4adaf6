import base64
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from transferhub.errors import DeniedError, NotFoundError, StoreError
from transferhub.registries import Login
from transferhub.registries.skopeo_folder import private_folder, write_login


def left_behind(parent: Path) -> Path:
    folder = parent / "run-dead"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "source.json").write_text("secret")
    return folder


def test_it_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    parent = tmp_path / "not" / "yet"
    with private_folder(parent) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700
        (folder / "deep" / "er").mkdir(parents=True)
    assert not list(parent.iterdir())


def test_it_is_gone_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), private_folder(tmp_path):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_errors_of_its_user_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), private_folder(tmp_path) as folder:
        (folder / "missing").read_bytes()


def test_what_a_killed_process_left_is_removed_and_what_lives_stays(tmp_path: Path) -> None:
    dead = left_behind(tmp_path)
    with private_folder(tmp_path) as first, private_folder(tmp_path) as second:
        assert not dead.exists()
        assert first.exists()
        assert second.exists()


def test_many_at_once_take_nothing_from_each_other(tmp_path: Path) -> None:
    lost: list[Path] = []

    def work() -> None:
        for _ in range(50):
            with private_folder(tmp_path) as folder:
                write_login(folder / "source.json", "x", None)
                if not (folder / "source.json").exists():
                    lost.append(folder)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not lost
    assert not list(tmp_path.iterdir())


def test_one_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match="skopeo's private files in") as caught,
        private_folder(tmp_path / "file" / "in"),
    ):
        raise AssertionError
    assert isinstance(caught.value, DeniedError | NotFoundError)


@pytest.mark.parametrize(
    ("login", "entry"),
    [
        (None, None),
        (
            Login(user="me", password="p:w"),
            {"auth": base64.b64encode(b"me:p:w").decode()},
        ),
        (
            Login(user="me", identity_token="t0ken"),
            {"auth": base64.b64encode(b"me:").decode(), "identitytoken": "t0ken"},
        ),
    ],
)
def test_a_login_is_written_for_its_owner_alone(
    login: Login | None, entry: dict[str, str] | None, tmp_path: Path
) -> None:
    old = os.umask(0)
    try:
        write_login(tmp_path / "login.json", "host:5000", login)
    finally:
        os.umask(old)
    written = json.loads((tmp_path / "login.json").read_text())
    assert written == {"auths": {} if entry is None else {"host:5000": entry}}
    assert stat.S_IMODE((tmp_path / "login.json").stat().st_mode) == 0o600
