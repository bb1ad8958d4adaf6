"""A PostgreSQL cluster of our own in a temporary folder (Debian `postgresql`)."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg
from psycopg import sql

from tests.servers.process import (
    MissingProgramError,
    Scoped,
    ServerError,
    ServerProcess,
    free_ports,
)

_DEBIAN = Path("/usr/lib/postgresql")


def _programs() -> Path:
    """The folder with initdb and postgres; the newest version when there are several."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise MissingProgramError("PostgreSQL is not installed: apt-get install postgresql")
    return Path(on_path).resolve().parent


def postgres_version() -> str:
    """Such as 15.8."""
    said = subprocess.run(
        [_programs() / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[2]


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom to run as: initdb and postgres refuse to be root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerError("PostgreSQL does not run as root, and there is neither postgres nor nobody")


class PostgresServer(Scoped):
    """A cluster that forgets a power cut (no fsync), on loopback only, without passwords."""

    def __init__(self) -> None:
        self._programs = _programs()
        # Not under pytest's temporary folder: only its owner may pass through that.
        self._folder = tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True)
        self._cluster = Path(self._folder.name) / "cluster"
        self._user = _unprivileged()
        if self._user is not None:
            os.chown(self._folder.name, self._user.pw_uid, self._user.pw_gid)
        (self._port,) = free_ports(1)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": self._folder.name,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": 200,
            "shared_buffers": "64MB",
            "autovacuum": "off",
        }
        self.process = ServerProcess(
            [
                self._programs / "postgres",
                "-D",
                self._cluster,
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            folder=Path(self._folder.name),
            ready=self._answers,
            name="postgres",
            user=None if self._user is None else self._user.pw_uid,
            group=None if self._user is None else self._user.pw_gid,
            # A fast shutdown: it does not wait for clients to leave.
            stop_signal=signal.SIGINT,
        )

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def create_database(self) -> str:
        """Makes an empty database and returns its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Removes a database, even when connections to it are open."""
        name = sql.Identifier(url.rpartition("/")[2])
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url(), connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def start(self) -> None:
        done = subprocess.run(
            [
                self._programs / "initdb",
                f"--pgdata={self._cluster}",
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            user=None if self._user is None else self._user.pw_uid,
            group=None if self._user is None else self._user.pw_gid,
            extra_groups=None if self._user is None else [],
            cwd=self._folder.name,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ServerError(f"initdb failed:\n{done.stderr}")
        self.process.start()

    def stop(self) -> None:
        self.process.stop()
        self._folder.cleanup()
