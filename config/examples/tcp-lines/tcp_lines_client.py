"""The client of a gateway over TCP, which the platform imports when a source or sink uses it."""

import json
import socket
import time
from contextlib import suppress
from urllib.parse import urlsplit

from alerting.adapters.sources.brokers import WAIT_S, Received
from alerting.ports import ACCEPTED, Answer, ReceiverAway


def connect(address: str, wait_s: float) -> socket.socket:
    url = urlsplit(address)  # tcp://gateway:5000
    return socket.create_connection((url.hostname, url.port), timeout=wait_s)


class Reader:
    """A gateway numbers its lines, and sends again what it got no number back for."""

    sends_again = True

    def __init__(self, source, address, earlier):
        self._socket = connect(address, 10)
        self._socket.settimeout(WAIT_S)
        self._rest = b""

    def receive(self, most):
        if most:
            with suppress(TimeoutError):
                found = self._socket.recv(65_536)
                if not found:
                    raise ConnectionError("the gateway has closed the connection")
                self._rest += found
        *lines, self._rest = self._rest.split(b"\n")
        numbered = [line.split(b" ", 1) for line in lines]
        return [Received("", row, number) for number, row in numbered]

    def acknowledge(self, tokens):
        self._socket.sendall(b"".join(number + b"\n" for number in tokens))

    def close(self):
        self._socket.close()

    @staticmethod
    def look(source, address, seconds):
        """Return copies of some messages, with notes; none is acknowledged."""
        reader = Reader(source, address, ())
        until = time.monotonic() + seconds
        found = []
        try:
            while len(found) < 10 and time.monotonic() < until:
                found += reader.receive(10)
        finally:
            reader.close()
        return found, [f"{len(found)} lines came within {seconds:g} s"]


class Writer:
    """A gateway answers each line: ok, or why it refuses it."""

    def __init__(self, sink, surroundings):
        try:
            made = connect(surroundings.resolve(sink.url), sink.wait_s)
        except OSError as fault:
            raise ReceiverAway(f"the gateway does not answer: {fault}") from fault
        self._lines = made.makefile("rwb")

    def send(self, messages):
        for one in messages:
            try:
                self._lines.write(json.dumps(one.content).encode() + b"\n")
                self._lines.flush()
                answer = self._lines.readline().decode().strip()
            except OSError as fault:
                raise ReceiverAway(f"the gateway is away: {fault}") from fault
            if not answer:
                raise ReceiverAway("the gateway has closed the connection")
            yield ACCEPTED if answer == "ok" else Answer("refused", answer)

    def keep_alive(self):
        """Do nothing: a gateway that is away is found when something is sent."""

    def probe(self, message):
        (answer,) = self.send([message])
        return f"the gateway answered {answer.verdict}"

    def close(self):
        self._lines.close()
