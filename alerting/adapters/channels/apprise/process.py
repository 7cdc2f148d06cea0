"""Program that uses Apprise, beside the platform: `python -m` it, with its task as JSON on standard
input.

Addresses hold credentials: they come neither by the command line nor by the environment, and names
of channels are all that is printed.
"""

import json
import logging
import sys
from typing import Any

from apprise import Apprise, AppriseAsset

from alerting.adapters.channels.apprise.services import HTTP_SERVICES

TIMEOUT_S = 10.0


def main() -> int:
    """Send `message` to `url`, or print what is wrong with each of `urls`. Return 0 if sent."""
    logging.disable()
    task = json.load(sys.stdin)
    if "urls" in task:
        faults = {name: fault for name, url in task["urls"].items() if (fault := _fault(url))}
        sys.stdout.write(json.dumps(faults))
        return 0
    service = None if _fault(task["url"]) else _service(task["url"])
    return 0 if service is not None and service.notify(**task["message"]) else 1


def _fault(url: str) -> str | None:
    service = _service(url)
    if service is None:
        return "Apprise does not know this address; see https://appriseit.com for the notation"
    if HTTP_SERVICES.isdisjoint(_names(service.protocol) + _names(service.secure_protocol)):
        return (
            "only services that Apprise reaches by HTTP may be used, because the egress rule "
            "cannot check others; for e-mail give ALERTING_EMAIL_<NAME>"
        )
    return None


def _service(url: str) -> Any:
    asset = AppriseAsset(
        async_mode=False, http_redirects=False, secure_logging=True, storage_mode="memory"
    )
    service = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if service is not None:
        service.redirects = False
        service.socket_connect_timeout = TIMEOUT_S
        service.socket_read_timeout = TIMEOUT_S
    return service


def _names(given: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given or ()


if __name__ == "__main__":
    sys.exit(main())
