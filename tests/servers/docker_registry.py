"""docker-registry: a real OCI registry (Debian `docker-registry`)."""

import ctypes
import http.client
import json
import os
import shutil
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.servers.certificates import Certificates, make_certificates
from tests.servers.process import Scoped, ServerProcess, find_program, free_ports
from tests.servers.pusher import Pusher

INSTALL = "apt-get install docker-registry"
# In memory: the registry syncs every file, and so puts 60 tags a second on a disk, 300 here.
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    user: str
    secret: str


ACCOUNT = Account(user="mover", secret="registry-secret")


class DockerRegistry(Scoped):
    """One registry with an empty storage of its own, on loopback only.

    Args:
        folder: where it keeps everything; a temporary one, removed at stop, when not given.
        account: who alone may read and write; anyone may when not given.
        https: with a certificate of its own CA (`certificates`), and nothing but HTTPS.
        delete: manifests and blobs can be deleted.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        account: Account | None = None,
        https: bool = False,
        delete: bool = True,
    ) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="docker-registry-", dir=_memory()))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.account = account
        self.certificates: Certificates | None = make_certificates(self.folder) if https else None
        (self.port,) = free_ports(1)
        self._write_configuration(delete=delete)
        self.process = ServerProcess(
            [
                find_program("docker-registry", install=INSTALL),
                "serve",
                self.folder / "registry.json",
            ],
            folder=self.folder,
            ready=self._answers,
            name="docker-registry",
            environment={"GOMAXPROCS": "2", "OTEL_TRACES_EXPORTER": "none"},
        )

    def _write_configuration(self, *, delete: bool) -> None:
        http_section: dict[str, object] = {"addr": self.host, "secret": "one-of-its-own"}
        configuration: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.storage), "maxthreads": 100},
                "cache": {"blobdescriptor": "inmemory"},
                "delete": {"enabled": delete},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": http_section,
        }
        if self.account is not None:
            passwords = self.folder / "htpasswd"
            passwords.write_text(f"{self.account.user}:{_bcrypt(self.account.secret)}\n")
            configuration["auth"] = {"htpasswd": {"realm": "tests", "path": str(passwords)}}
        if self.certificates is not None:
            http_section["tls"] = {
                "certificate": str(self.certificates.certificate),
                "key": str(self.certificates.key),
            }
        # JSON is YAML.
        (self.folder / "registry.json").write_text(json.dumps(configuration))

    @property
    def host(self) -> str:
        """As it stands in a reference: `127.0.0.1:5000`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'http' if self.certificates is None else 'https'}://{self.host}"

    @property
    def ca(self) -> Path | None:
        return None if self.certificates is None else self.certificates.ca

    @property
    def storage(self) -> Path:
        """Where it keeps blobs, uploads and links; put a small disk here before it starts."""
        return self.folder / "storage"

    def pusher(self) -> Pusher:
        """A client that may do everything; close it."""
        account = self.account
        return Pusher(
            self.url,
            user="" if account is None else account.user,
            secret="" if account is None else account.secret,
            ca=self.ca,
        )

    def _answers(self) -> bool:
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            if self.ca is None
            else http.client.HTTPSConnection(
                "127.0.0.1",
                self.port,
                timeout=2,
                context=ssl.create_default_context(cafile=str(self.ca)),
            )
        )
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status in {200, 401}
        except OSError:
            return False
        finally:
            connection.close()

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        if self._temporary:
            self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.process.stop()


def _memory() -> Path | None:
    return _MEMORY if os.access(_MEMORY, os.W_OK) else None


def _bcrypt(secret: str) -> str:
    """The only hash that the registry accepts; Python has lost its module for it."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = os.urandom(16).hex()[:21] + "."
    hashed: bytes | None = library.crypt(secret.encode(), f"$2b$04${salt}".encode())
    if hashed is None:
        raise RuntimeError("libcrypt knows no bcrypt")
    return hashed.decode()
