"""How stores tell of their changes, over HTTP."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from transferhub.api.safety import read_body
from transferhub.control.intake import Intake, Proof
from transferhub.model.run import TaskId

_SIGNATURES = ("x-dth-signature", "x-hub-signature-256")


class EventDoor:
    """POST /events/{task}. An answer of 200 says that the events are kept."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def receive(self, request: Request) -> Response:
        taken = await self._intake.receive(
            TaskId(request.path_params["task"]),
            await read_body(request),
            proof_of(request),
            address=request.client.host if request.client else "",
        )
        return JSONResponse({"taken": taken})


def proof_of(request: Request) -> Proof:
    """What the headers show: a signature, or a token as bearer or as the password of a login."""
    for name in _SIGNATURES:
        if signature := request.headers.get(name, ""):
            return Proof(signature=signature.removeprefix("sha256="))
    given = request.headers.get("authorization", "")
    kind, _, token = given.partition(" ")
    match kind.lower():
        case "bearer":
            return Proof(token=token.strip())
        case "basic":
            return Proof(token=_password(token))
        case _:
            return Proof(token=given)


def _password(login: str) -> str:
    try:
        return b64decode(login, validate=True).decode().partition(":")[2]
    except (Base64Error, UnicodeDecodeError):
        return ""
