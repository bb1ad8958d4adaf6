"""Our own small Amazon ECR: its API, and its registry in front of a real docker-registry.

It does what no free stand-in does: pages, repositories that have to be created, tags that may not
be moved, logins that expire, throttling, quotas. Source: Amazon ECR's API reference and user guide.
It answers for tags and manifests itself, as they were put through it; docker-registry holds the
blobs, and refuses manifests that name what it does not have.
"""

import base64
import http.client
import http.server
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.docker_registry import DockerRegistry
from tests.servers.endpoint import Endpoint
from tests.servers.oci_images import OCI_INDEX, digest_of
from tests.servers.process import Scoped
from tests.servers.pusher import Pusher

ACCOUNT = "111122223333"
REGION = "eu-west-1"
_ACCESS_KEY, _SECRET_KEY = "AKIDOFTESTS", "secret-of-tests"
_TARGET = "AmazonEC2ContainerRegistry_V20150921."
_MOST_ROWS, _USUAL_ROWS = 1000, 100
_POLL_SECONDS = 0.02
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"(?=.{{2,256}}\Z){_PART}(?:/{_PART})*")
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=(\w+)/\d{8}/([\w-]+)/(\w+)/aws4_request, .+")
_PASSED = ("accept", "content-type", "content-range", "range", "host")
_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags|referrers)/(?P<rest>.*)")


@dataclass(slots=True)
class Image:
    """`size` and `artifact` are None where ECR tells none."""

    digest: str
    media_type: str
    size: int | None = None
    artifact: str | None = None
    pushed_at: float = field(default_factory=time.time)
    content: bytes = b""


@dataclass(slots=True)
class Repository:
    """`settings` are what it was created with."""

    name: str
    settings: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)

    def holds_still(self, tag: str) -> bool:
        mutability = self.settings.get("imageTagMutability", "MUTABLE")
        filters = self.settings.get("imageTagMutabilityExclusionFilters", ())
        excluded = any(fnmatchcase(tag, one["filter"]) for one in filters)
        return bool(mutability.startswith("IMMUTABLE") is not excluded)

    def tags_of(self, digest: str) -> list[str]:
        return [tag for tag, held in self.tags.items() if held == digest]

    def lists_of(self, digest: str) -> list[str]:
        """Indexes that name this manifest."""
        return [
            image.digest
            for image in self.images.values()
            if digest in (row["digest"] for row in _document(image).get("manifests", ()))
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request to the API."""

    action: str
    parameters: Mapping[str, Any]


class ApiError(Exception):
    """What ECR's API refuses with."""

    def __init__(self, name: str, message: str, status: int = 400) -> None:
        super().__init__(name)
        self.answer = _json(status, {"__type": name, "message": message})


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request to the registry; names of headers in small letters."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Fault:
    where: str
    times: int
    answer: Answer


class EcrStandIn(Scoped):
    """One account's registry in one region, on loopback without TLS: API and registry are at one
    address, as the login that it gives says. It lives in threads of its own.

    Args:
        behind: holds the bytes; nobody else may put anything there. One of its own by default.

    Attributes:
        endpoint: the API, with the only keys that it lets in.
        asked: every request to the API, in order.
        most_repositories: the account's quota.
        valid: for how long a login holds, as it says; `expire` ends it before.
    """

    account, region = ACCOUNT, REGION

    def __init__(self, behind: DockerRegistry | None = None) -> None:
        self.behind = behind or DockerRegistry()
        self._owns_it = behind is None
        self.repositories: dict[str, Repository] = {}
        self.asked: list[Asked] = []
        self.most_repositories = 100_000
        self.valid = timedelta(hours=12)
        self.tokens: set[str] = set()
        self._faults: list[_Fault] = []
        self._lock = threading.RLock()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=[_POLL_SECONDS], daemon=True
        )
        self.endpoint = Endpoint(
            url=self.url, access_key_id=_ACCESS_KEY, secret_access_key=_SECRET_KEY, region=REGION
        )

    @property
    def host(self) -> str:
        """As it stands in a reference."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def start(self) -> None:
        if self._owns_it:
            self.behind.start()
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
        if self._owns_it:
            self.behind.stop()

    # What a test does to it

    def create(self, name: str, mutability: str = "MUTABLE", *excluded: str) -> Repository:
        """A repository, as somebody else would have created it.

        Args:
            excluded: filters of tags for which the other holds.
        """
        filters = [{"filterType": "WILDCARD", "filter": one} for one in excluded]
        settings: dict[str, Any] = {"imageTagMutability": mutability}
        if filters:
            settings["imageTagMutabilityExclusionFilters"] = filters
        with self._lock:
            return self.repositories.setdefault(name, Repository(name, settings))

    def fill(self, name: str, count: int, *, media_type: str = OCI_INDEX) -> list[str]:
        """Lists so many images more, tagged 0 and up, that have no bytes; their digests."""
        repository = self.create(name)
        digests = [digest_of(f"{name} {number}".encode()) for number in range(count)]
        with self._lock:
            for number, digest in enumerate(digests):
                repository.images[digest] = Image(digest, media_type)
                repository.tags[str(number)] = digest
        return digests

    def pusher(self) -> Pusher:
        """A client with a login of its own; close it."""
        return Pusher(self.url, user="AWS", secret=self.give_token())

    def give_token(self) -> str:
        token = secrets.token_urlsafe(32)
        with self._lock:
            self.tokens.add(token)
        return token

    def expire(self) -> None:
        """Ends every login that was given."""
        with self._lock:
            self.tokens.clear()

    def throttle(self, where: str, times: int = 1) -> None:
        """Has the next such requests meet "Rate exceeded".

        Args:
            where: an action of the API, or a part of a path of the registry.
        """
        said = "Rate exceeded"
        answer = ApiError("ThrottlingException", said).answer
        if "/" in where:
            answer = _refusal(429, "TOOMANYREQUESTS", said)
        self._faults.append(_Fault(where, times, answer))

    def refuse(
        self, action: str, name: str, message: str, *, status: int = 400, times: int = 1
    ) -> None:
        """Has the next such requests to the API meet an error."""
        self._faults.append(_Fault(action, times, ApiError(name, message, status).answer))

    def calls(self, action: str) -> list[Mapping[str, Any]]:
        """The parameters of each such request to the API."""
        return [one.parameters for one in self.asked if one.action == action]

    def fault(self, where: str) -> Answer | None:
        with self._lock:
            for fault in self._faults:
                if fault.times and (
                    where == fault.where or ("/" in where and fault.where in where)
                ):
                    fault.times -= 1
                    return fault.answer
        return None

    # The API

    def api(self, headers: Mapping[str, str], body: bytes) -> Answer:
        action = headers.get("x-amz-target", "").removeprefix(_TARGET)
        try:
            _check_signature(headers.get("authorization", ""))
            parameters = json.loads(body)
            with self._lock:
                self.asked.append(Asked(action=action, parameters=parameters))
                if (answer := self.fault(action)) is not None:
                    return answer
                if action not in _ACTIONS:
                    raise ApiError("UnknownOperationException", "")
                self._check_registry(parameters)
                return _json(200, _ACTIONS[action](self, parameters))
        except ApiError as error:
            return error.answer

    def _check_registry(self, parameters: Mapping[str, Any]) -> None:
        asked = [parameters.get("registryId"), *parameters.get("registryIds", ())]
        if any(one not in {None, self.account} for one in asked):
            raise ApiError("AccessDeniedException", "User is not authorized to perform this action")

    def _get_authorization_token(self, _: Mapping[str, Any]) -> dict[str, Any]:
        pair = f"AWS:{self.give_token()}".encode()
        row = {
            "authorizationToken": base64.b64encode(pair).decode(),
            "expiresAt": time.time() + self.valid.total_seconds(),
            "proxyEndpoint": self.url,
        }
        return {"authorizationData": [row]}

    def _repository(self, name: str) -> Repository:
        if name not in self.repositories:
            raise ApiError(
                "RepositoryNotFoundException",
                f"The repository with name '{name}' does not exist in the registry with id"
                f" '{self.account}'",
            )
        return self.repositories[name]

    def _create_repository(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        name = asked["repositoryName"]
        if not _NAME.fullmatch(name):
            raise ApiError(
                "InvalidParameterException",
                "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy"
                f" regular expression '{_NAME.pattern}''",
            )
        if name in self.repositories:
            raise ApiError(
                "RepositoryAlreadyExistsException",
                f"The repository with name '{name}' already exists in the registry with id"
                f" '{self.account}'",
            )
        if len(self.repositories) >= self.most_repositories:
            raise ApiError(
                "LimitExceededException",
                "The number of repositories exceeds the maximum allowed in the registry with id"
                f" '{self.account}'",
            )
        settings = {key: value for key, value in asked.items() if key != "registryId"}
        made = self.repositories[name] = Repository(name, settings)
        return {"repository": self._described(made)}

    def _described(self, repository: Repository) -> dict[str, Any]:
        return {
            "registryId": self.account,
            "repositoryUri": f"{self.host}/{repository.name}",
            "imageTagMutability": "MUTABLE",
            "encryptionConfiguration": {"encryptionType": "AES256"},
            "imageScanningConfiguration": {"scanOnPush": False},
            **repository.settings,
            "repositoryName": repository.name,
        }

    def _describe_repositories(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if names := asked.get("repositoryNames"):
            found = [self._repository(name) for name in names]
            return {"repositories": [self._described(one) for one in found]}
        rows, following = _page(asked, list(self.repositories.values()))
        return {"repositories": [self._described(one) for one in rows], **following}

    def _describe_images(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        repository = self._repository(asked["repositoryName"])
        rows, following = _page(asked, list(repository.images.values()))
        tags: dict[str, list[str]] = {}
        for tag, digest in repository.tags.items():
            tags.setdefault(digest, []).append(tag)
        details = [
            {
                "registryId": self.account,
                "repositoryName": repository.name,
                "imageDigest": image.digest,
                "imageTags": tags.get(image.digest),
                "imageSizeInBytes": image.size,
                "imagePushedAt": image.pushed_at,
                "imageManifestMediaType": image.media_type,
                "artifactMediaType": image.artifact,
            }
            for image in rows
        ]
        return {"imageDetails": [_told(one) for one in details], **following}

    def _batch_delete_image(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        repository = self._repository(asked["repositoryName"])
        deleted, failures = [], []
        for wanted in asked["imageIds"]:
            failed = _delete(repository, wanted.get("imageTag"), wanted.get("imageDigest"))
            if failed is None:
                deleted.append(wanted)
            else:
                code, reason = failed
                row = {"imageId": wanted, "failureCode": code, "failureReason": reason}
                failures.append(row)
        return {"imageIds": deleted, "failures": failures}

    # The registry

    def registry(self, sent: Sent) -> Answer:
        path, headers = urlsplit(sent.target).path, sent.headers
        refused = self.fault(path) or self._unauthorized(headers.get("authorization", ""))
        if refused is not None:
            return refused
        if path == "/v2/":
            return _json(200, {})
        if path == "/v2/_catalog":
            return _listed(sent.target, "repositories", sorted(self.repositories))
        match = _PATH.fullmatch(path)
        name = match["name"] if match else path
        repository = self.repositories.get(name)
        if match is None or repository is None:
            said = f"The repository with name '{name}' does not exist in the registry"
            return _refusal(404, "NAME_UNKNOWN", f"{said} with id '{self.account}'")
        if match["kind"] == "blobs":
            return self._forward(sent)
        return self._of(repository, match["kind"], match["rest"], sent)

    def _of(self, repository: Repository, kind: str, rest: str, sent: Sent) -> Answer:
        match kind:
            case "tags":
                return _listed(sent.target, "tags", sorted(repository.tags))
            case "referrers":
                return _referrers(repository, rest)
            case _ if sent.method == "PUT":
                return self._put(repository, rest, sent)
            case _:
                return self._manifest(repository, rest, sent)

    def _unauthorized(self, shown: str) -> Answer | None:
        if not shown:
            realm = f'Basic realm="{self.url}/",service="ecr.amazonaws.com"'
            return Answer(401, {"WWW-Authenticate": realm}, b"Not Authorized\n")
        pair = base64.b64decode(shown.removeprefix("Basic ")).decode(errors="replace")
        user, _, token = pair.partition(":")
        if user == "AWS" and token in self.tokens:
            return None
        return _refusal(
            403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."
        )

    def _put(self, repository: Repository, reference: str, sent: Sent) -> Answer:
        digest = digest_of(sent.body)
        tag = "" if ":" in reference else reference
        with self._lock:
            if tag in repository.tags and repository.holds_still(tag):
                return _refusal(
                    400,
                    "TAG_INVALID",
                    f"The image tag '{tag}' already exists in the '{repository.name}' repository"
                    " and cannot be overwritten because the tag is immutable.",
                )
            answer = self._forward(sent, _manifest_path(repository, digest if tag else reference))
            if answer.status != HTTPStatus.CREATED:
                return answer
            image = _image(digest, sent.headers.get("content-type", ""), sent.body)
            repository.images.setdefault(digest, image)
            if tag:
                repository.tags[tag] = digest
        subject = _document(image).get("subject")
        told = {"OCI-Subject": subject["digest"]} if subject else {}
        return Answer(answer.status, {**answer.headers, **told}, answer.body)

    def _manifest(self, repository: Repository, reference: str, sent: Sent) -> Answer:
        if sent.method == "DELETE":
            return _refusal(405, "UNSUPPORTED", "The operation is unsupported")
        digest = repository.tags.get(reference, reference)
        image = repository.images.get(digest)
        if image is None or not image.content:
            return _refusal(404, "MANIFEST_UNKNOWN", "Requested image not found")
        told = {"Content-Type": image.media_type, "Docker-Content-Digest": digest}
        return Answer(200, told, image.content)

    def _forward(self, sent: Sent, target: str = "") -> Answer:
        passed = {name: sent.headers[name] for name in _PASSED if name in sent.headers}
        connection = http.client.HTTPConnection("127.0.0.1", self.behind.port, timeout=30)
        try:
            connection.request(sent.method, target or sent.target, sent.body or None, passed)
            answer = connection.getresponse()
            said = answer.read()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in {"date", "content-length", "connection"}
            }
            if sent.method == "HEAD":
                kept["Content-Length"] = answer.getheader("content-length", "0")
            return Answer(answer.status, kept, said)
        finally:
            connection.close()


_ACTIONS: Mapping[str, Callable[[EcrStandIn, Mapping[str, Any]], dict[str, Any]]] = {
    "GetAuthorizationToken": EcrStandIn._get_authorization_token,  # noqa: SLF001 - its own
    "CreateRepository": EcrStandIn._create_repository,  # noqa: SLF001
    "DescribeRepositories": EcrStandIn._describe_repositories,  # noqa: SLF001
    "DescribeImages": EcrStandIn._describe_images,  # noqa: SLF001
    "BatchDeleteImage": EcrStandIn._batch_delete_image,  # noqa: SLF001
}


def _check_signature(shown: str) -> None:
    if not shown:
        raise ApiError("MissingAuthenticationTokenException", "Missing Authentication Token")
    signed = _SIGNED.fullmatch(shown)
    if signed is None or (signed[2], signed[3]) != (REGION, "ecr"):
        raise ApiError("InvalidSignatureException", "Credential should be scoped to a valid region")
    if signed[1] != _ACCESS_KEY:
        said = "The security token included in the request is invalid."
        raise ApiError("UnrecognizedClientException", said)


def _page(asked: Mapping[str, Any], rows: Sequence[Any]) -> tuple[Sequence[Any], dict[str, str]]:
    most = asked.get("maxResults", _USUAL_ROWS)
    if not 1 <= most <= _MOST_ROWS:
        raise ApiError("InvalidParameterException", "Invalid parameter at 'maxResults'")
    start = int(base64.b64decode(asked.get("nextToken", "")) or b"0")
    end = start + most
    following = {"nextToken": base64.b64encode(str(end).encode()).decode()}
    return rows[start:end], following if end < len(rows) else {}


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """ECR leaves out what it does not know, and the tags of an image without."""
    return {key: value for key, value in row.items() if value is not None}


def _delete(repository: Repository, tag: str | None, digest: str | None) -> tuple[str, str] | None:
    """Why it was not done."""
    held = repository.tags.get(tag, "") if tag else digest or ""
    if held not in repository.images:
        return "ImageNotFound", "Requested image not found"
    if digest and held != digest:
        return "ImageTagDoesNotMatchDigest", "Requested image tag does not match digest"
    others = [one for one in repository.tags_of(held) if one != tag]
    if not others or not tag:
        if lists := repository.lists_of(held):
            said = f"Requested image referenced by manifest list: [{', '.join(lists)}]"
            return "ImageReferencedByManifestList", said
        del repository.images[held]
        for other in others:
            del repository.tags[other]
    if tag:
        del repository.tags[tag]
    return None


def _manifest_path(repository: Repository, reference: str) -> str:
    return f"/v2/{repository.name}/manifests/{reference}"


def _document(image: Image) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(image.content or b"{}")
    return document


def _image(digest: str, media_type: str, content: bytes) -> Image:
    document = json.loads(content)
    if "config" not in document:
        return Image(digest, media_type, content=content)
    config = document["config"]
    size = sum(row["size"] for row in (config, *document["layers"]))
    return Image(digest, media_type, size, config["mediaType"], content=content)


def _referrers(repository: Repository, digest: str) -> Answer:
    rows = []
    for image in repository.images.values():
        document = _document(image)
        if document.get("subject", {}).get("digest") == digest:
            row = {
                "mediaType": image.media_type,
                "digest": image.digest,
                "size": len(image.content),
                "artifactType": document.get("artifactType") or image.artifact,
            }
            rows.append(row)
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).encode()
    return Answer(200, {"Content-Type": OCI_INDEX}, body)


def _listed(target: str, name: str, rows: Sequence[str]) -> Answer:
    parts = urlsplit(target)
    query = parse_qs(parts.query)
    most, last = int(query.get("n", ["100"])[0]), query.get("last", [""])[0]
    left = [row for row in rows if row > last]
    answer = _json(200, {name: left[:most]})
    if len(left) <= most:
        return answer
    link = f'<{parts.path}?n={most}&last={left[most - 1]}>; rel="next"'
    return Answer(200, {**answer.headers, "Link": link}, answer.body)


def _refusal(status: int, code: str, message: str) -> Answer:
    return _json(status, {"errors": [{"code": code, "message": message}]})


def _json(status: int, document: object) -> Answer:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(status, kind, json.dumps(document).encode())


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, ecr: EcrStandIn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ecr = ecr


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise an answer of two writes waits for the other side's delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = b"".join(self._body(headers))
        ecr = self.server.ecr
        if "x-amz-target" in headers:
            answer = ecr.api(headers, body)
        else:
            answer = ecr.registry(Sent(self.command, self.path, headers, body))
        self.send_response(answer.status)
        told = {"Content-Length": str(len(answer.body)), **answer.headers}
        for name, value in told.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - its own names

    def _body(self, headers: Mapping[str, str]) -> Iterator[bytes]:
        if headers.get("transfer-encoding") != "chunked":
            yield self.rfile.read(int(headers.get("content-length", "0")))
            return
        while length := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Nobody reads it."""
