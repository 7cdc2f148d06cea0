"""MLflow's server behind one password: `mlflow server --app-name alerting`.

MLflow serves every client that reaches its port, which on one machine is every local user. Its own
`basic-auth` app would add a second database of users, with a default password. Here there is one
user, `alerting`, whose password is in a file of the home: browsers ask for it once, clients find it
in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from alerting.definitions.faults import UserError
from alerting.settings.environment import variable
from alerting.wiring import MLFLOW_USER as USER

PASSWORD_FILE = variable("mlflow_password_file")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]
_OPEN = "/health"  # the health check, which reveals nothing else


class Guard:
    """MLflow's application behind a password; the serving process loads it, not its parent."""

    def __init__(self, environ: Mapping[str, str], load: Callable[[], Asgi]) -> None:
        self._environ = environ
        self._load = load
        self._app: Asgi | None = None
        self._password = b""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if self._app is None:
            try:
                self._password = read_password(self._environ).encode()
            except UserError as refusal:
                await receive()  # of its start, which comes before all requests
                await send({"type": "lifespan.startup.failed", "message": str(refusal)})
                return
            self._app = self._load()
        if scope["type"] == "lifespan" or scope["path"] == _OPEN or self._may_enter(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _ask_for_password(send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _may_enter(self, scope: Message) -> bool:
        headers = [value for name, value in scope["headers"] if name == b"authorization"]
        kind, _, credentials = headers[0].partition(b" ") if len(headers) == 1 else (b"", b"", b"")
        if kind.lower() != b"basic":
            return False
        try:
            user, _, password = base64.b64decode(credentials.strip(), validate=True).partition(b":")
        except binascii.Error:
            return False
        return hmac.compare_digest(password, self._password) and user == USER.encode()


def read_password(environ: Mapping[str, str]) -> str:
    """Return the password in the file of ALERTING_MLFLOW_PASSWORD_FILE.

    Raises UserError if the file cannot be read, or is empty.
    """
    path = environ.get(PASSWORD_FILE, "")
    try:
        password = Path(path).read_text(encoding="utf-8").strip()
    except OSError as fault:
        raise UserError(f"{PASSWORD_FILE} {path!r} cannot be read: {fault.strerror}") from fault
    if not password:
        raise UserError(
            f"{PASSWORD_FILE} {path!r} is empty: write a password into it, or delete it and run "
            "`alerting up`"
        )
    return password


async def _ask_for_password(send: Send) -> None:
    headers = [
        (b"www-authenticate", b'Basic realm="MLflow of the alerting platform", charset="UTF-8"'),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"no-store"),
    ]
    body = (
        f"Sign in as {USER}; the password is in secrets/mlflow_password of the platform's home. "
        "Clients: MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD.\n"
    )
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def _mlflow() -> Asgi:
    from mlflow.server.fastapi_app import app as served  # noqa: PLC0415 - loading takes seconds, once, in the serving process

    loaded: Asgi = served
    return loaded


app = Guard(os.environ, _mlflow)
