"""Where an S3 server listens and who may use it."""

import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """All that a client needs to reach an S3 server."""

    url: str
    access_key_id: str
    secret_access_key: str
    region: str = "us-east-1"
    ca_bundle: Path | None = None

    def at(self, url: str) -> "Endpoint":
        """The same server reached through another address, such as a proxy's."""
        return Endpoint(
            url=url,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            region=self.region,
            ca_bundle=self.ca_bundle,
        )

    def environment(self, side: str) -> dict[str, str]:
        """The `DTH_SOURCE_*` or `DTH_DESTINATION_*` variables that name this endpoint.

        Args:
            side: "source" or "destination".
        """
        start = f"DTH_{side.upper()}_"
        return {
            f"{start}ENDPOINT": self.url,
            f"{start}ACCESS_KEY_ID": self.access_key_id,
            f"{start}SECRET_ACCESS_KEY": self.secret_access_key,
            f"{start}REGION": self.region,
        }


def answers_list_buckets(endpoint: Endpoint) -> bool:
    """Whether the server answers one signed ListBuckets with 200 now."""
    parts = urlsplit(endpoint.url)
    request = AWSRequest("GET", f"{endpoint.url}/", headers={"Host": parts.netloc})
    credentials = Credentials(endpoint.access_key_id, endpoint.secret_access_key)
    S3SigV4Auth(credentials, "s3", endpoint.region).add_auth(request)
    host, port = parts.hostname or "", parts.port or 0
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        trust = ssl.create_default_context(cafile=endpoint.ca_bundle)
        connection = http.client.HTTPSConnection(host, port, timeout=5, context=trust)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/", headers=dict(request.headers.items()))
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
