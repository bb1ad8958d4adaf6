"""moto's server (PyPI `moto[server]`): S3, SQS, DynamoDB and more, all in memory."""

import tempfile
from pathlib import Path

from tests.servers.endpoint import Endpoint, answers_list_buckets
from tests.servers.process import Scoped, ServerProcess, find_program, free_ports


class MotoServer(Scoped):
    """One server for all of its services; it accepts any credentials."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="moto-")
        (port,) = free_ports(1)
        self.endpoint = Endpoint(
            url=f"http://127.0.0.1:{port}", access_key_id="MOTOKEY", secret_access_key="moto-secret"
        )
        self.process = ServerProcess(
            [
                find_program("moto_server", install="pip install 'moto[server]'"),
                "-H",
                "127.0.0.1",
                "-p",
                str(port),
            ],
            folder=Path(self._folder.name),
            ready=lambda: answers_list_buckets(self.endpoint),
            name="moto",
        )

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        self.process.kill()
        self._folder.cleanup()
