"""Channel that sends messages through Apprise: a hundred services, each by its own address."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from alerting.adapters.channels.apprise.proxy import run_proxy
from alerting.adapters.channels.chat import level, text_with_links
from alerting.adapters.channels.egress import Egress, EgressRefused
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.ports import DeliveryFailed, Message

LASTS_S = 30.0
"""Seconds after which a process of Apprise is ended."""
NO_PROXY = "http://127.0.0.1:9"
_HANDED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "TZ")


class AppriseChannel:
    """Deliver each message to one service, by a process of its own that reaches the network through
    a proxy with the egress rule.

    The address holds the credentials: it appears in no message, no log and no list of processes.
    """

    def __init__(self, name: str, url: str, egress: Egress) -> None:
        self.name = name
        self._url = url
        self._egress = egress

    def deliver(self, message: Message) -> None:
        """Send one message. Raises DeliveryFailed if it is not sent: permanent only if the egress
        rule forbids it, because Apprise reports no reason."""
        content = {
            "title": message.subject,
            "body": text_with_links(message),
            "notify_type": {"good": "success", "bad": "failure", "neutral": "info"}[level(message)],
        }
        with run_proxy(self._egress) as proxy:
            try:
                done = _run({"url": self._url, "message": content}, proxy.url)
            except subprocess.TimeoutExpired:
                raise DeliveryFailed(
                    translatable("{name} by Apprise: no answer in time", name=self.name)
                ) from None
        if isinstance(proxy.failure, EgressRefused):
            raise proxy.failure
        if done.returncode != 0:
            raise proxy.failure or DeliveryFailed(
                translatable("{name} by Apprise: it was not sent", name=self.name)
            )


def check_addresses(urls: Mapping[str, str]) -> None:
    """Check the addresses of channels by their names. Raises UserError, without the address, if
    Apprise is not installed, or one may not be used."""
    if not urls:
        return
    if find_spec("apprise") is None:
        raise UserError(
            f"channel {next(iter(urls))!r} needs Apprise: pip install 'alerting[apprise]'"
        )
    try:
        faults = json.loads(_run({"urls": dict(urls)}, NO_PROXY).stdout)
    except (subprocess.TimeoutExpired, ValueError):
        raise UserError("Apprise, which channels need, does not start") from None
    for name, fault in faults.items():
        raise UserError(f"channel {name!r}: {fault}")


def _run(task: Mapping[str, Any], proxy: str) -> "subprocess.CompletedProcess[bytes]":
    """Run the program of Apprise with a task, and an environment without passwords."""
    environ = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        environ |= {name: proxy, name.upper(): proxy}
    environ |= {"HOME": os.devnull, "NETRC": os.devnull}
    environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-P", "-m", "alerting.adapters.channels.apprise.process"],
        input=json.dumps(task).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
        timeout=LASTS_S,
        check=False,
    )
