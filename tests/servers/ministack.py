"""ministack (PyPI `ministack`): SQS, DynamoDB, IAM and much more of AWS, all in memory.

It has an environment of its own, .venv/ministack, since it asks for other versions than we do.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers.certificates import make_certificates
from tests.servers.endpoint import Endpoint, answers_list_buckets
from tests.servers.process import MissingProgramError, Scoped, ServerProcess, free_ports

ACCOUNT = "000000000000"

_ROOT_KEY, _ROOT_SECRET = "ROOTKEY", "root-secret"


class MinistackServer(Scoped):
    """One server for all of its services. `endpoint` is the account's root user.

    Args:
        guarded: it checks signatures and enforces IAM, and speaks HTTPS; otherwise it accepts any
            credentials.
    """

    def __init__(self, *, guarded: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ministack-")
        folder = Path(self._folder.name)
        (port,) = free_ports(1)
        certificates = make_certificates(folder) if guarded else None
        self.endpoint = Endpoint(
            url=f"{'https' if guarded else 'http'}://127.0.0.1:{port}",
            access_key_id=_ROOT_KEY,
            secret_access_key=_ROOT_SECRET,
            ca_bundle=certificates.ca if certificates else None,
        )
        environment = {
            "AWS_ACCESS_KEY_ID": _ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": _ROOT_SECRET,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            # In URLs of queues.
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": self.endpoint.region,
            "S3_DATA_DIR": str(folder / "s3"),
            "STATE_DIR": str(folder / "state"),
            "TMPDIR": str(folder),
        }
        if certificates:
            environment |= {
                "AUTH": "true",
                "USE_SSL": "1",
                "MINISTACK_SSL_CERT": str(certificates.certificate),
                "MINISTACK_SSL_KEY": str(certificates.key),
            }
        self.process = ServerProcess(
            [_program()],
            folder=folder,
            ready=lambda: answers_list_buckets(self.endpoint),
            name="ministack",
            environment=environment,
        )

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        self.process.kill()
        self._folder.cleanup()


def ministack_version() -> str:
    """Such as 1.5.33."""
    python = _program().with_name("python")
    asked = "from importlib.metadata import version; print(version('ministack'))"
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _program() -> Path:
    program = Path(sys.prefix) / "ministack" / "bin" / "ministack"
    if not program.exists():
        raise MissingProgramError(f"{program} is missing: run scripts/setup dev")
    return program
