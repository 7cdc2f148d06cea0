"""POST over HTTP to one address, which the egress rule checks when the connection is made."""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic_core import to_json

from alerting.adapters.channels.egress import Egress
from alerting.ports import DeliveryFailed

TIMEOUT = httpx.Timeout(10.0, connect=5.0)


class CheckedHttp:
    """Address of one receiver, to which contents are sent as JSON; any answer 2xx means delivered.

    Each connection goes to the very address that was checked. Redirects are not followed. The path
    and the credentials of the address appear in no message and no log, because in many systems the
    path is the secret.
    """

    def __init__(
        self,
        receiver: str,
        url: str,
        *,
        egress: Egress | None = None,
        client: httpx.Client | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        """Store the address. `receiver`: its name in faults. `egress`: what may be reached."""
        self._receiver = f"{receiver} at {_location(url)}"
        self._url = url
        self._egress = egress
        # A proxy or a password (.netrc) of the environment would bypass the egress rule; its
        # authorities may be trusted.
        self._client = client or httpx.Client(trust_env=False, verify=httpx.create_ssl_context())
        self._timeout = timeout
        logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes whole addresses

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """POST JSON. Raises DeliveryFailed: permanent for 4xx other than 408 and 429."""
        try:
            url, host = self._target()
            # The body of the answer is never read, so that a receiver cannot delay it with one.
            with self._client.stream(
                "POST",
                url,
                content=body,
                headers={"content-type": "application/json", **(headers or {})} | host,
                timeout=self._timeout,
                follow_redirects=False,
                extensions={"sni_hostname": _host(self._url)} if host else {},
            ) as answer:
                status = answer.status_code
        except httpx.InvalidURL:
            raise DeliveryFailed(
                f"{self._receiver}: its address cannot be read",
                permanent=True,
            ) from None
        except httpx.HTTPError as fault:
            raise DeliveryFailed(f"{self._receiver}: {_message(fault)}") from None
        if not 200 <= status < 300:
            permanent = 400 <= status < 500 and status not in {408, 429}
            answered = f"{self._receiver} answered {status}"
            raise DeliveryFailed(answered, permanent, status)

    def _target(self) -> tuple[httpx.URL, dict[str, str]]:
        url = httpx.URL(self._url)
        if self._egress is None:
            return url, {}
        port = url.port or (443 if url.scheme == "https" else 80)
        address = self._egress.address(_host(self._url), port)
        return url.copy_with(host=address), {"host": url.netloc.decode("ascii")}


def write_json(content: Mapping[str, Any]) -> bytes:
    """Return the JSON of a content; numbers that JSON does not know become null."""
    return to_json(content, inf_nan_mode="null")


def _host(url: str) -> str:
    return httpx.URL(url).raw_host.decode("ascii").strip("[]")


def _location(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def _message(fault: Exception) -> str:
    if isinstance(fault, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(fault, httpx.ConnectError):
        return "no connection"
    return type(fault).__name__
