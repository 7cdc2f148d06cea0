"""Brokers of their own, from Debian's packages, for tests of sources: started once, on free ports,
in temporary folders."""

import os
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from benchmarks.helpers.ports import answers
from tests.helpers import rabbitmq
from tests.helpers.mosquitto import Broker
from tests.support import free_port

SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/usr/lib/rabbitmq/bin"


class Server(ABC):
    """A server on a port of this machine. A broker publishes payloads under a topic; its topics
    have this separator."""

    program: str
    package: str
    client: str
    separator = "."

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._program = shutil.which(self.program, path=SBIN)
        if self._program is None:
            pytest.skip(
                f"{self.program} is not installed: apt-get install --no-install-recommends "
                f"{self.package}"
            )
        pytest.importorskip(self.client.split("==")[0], reason=f"pip install {self.client}")
        self._processes: list[subprocess.Popen[bytes]] = []

    def command(self) -> list[str]:
        """Return the command that starts the server."""
        return [self.program]

    def start(self) -> None:
        self._run(self.command())
        until = time.monotonic() + 600
        while not answers(self.port):
            assert time.monotonic() < until
            assert self._processes[-1].poll() is None, (self.folder / "out").read_text()
            time.sleep(0.05)

    def _run(self, command: list[str]) -> None:
        with (self.folder / "out").open("ab") as out:
            self._processes.append(
                subprocess.Popen(command, stdout=out, stderr=out, cwd=self.folder)
            )

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(600)

    @property
    def pid(self) -> int:
        """Return the number of its process."""
        return self._processes[-1].pid

    @property
    def is_running(self) -> bool:
        """Return whether its process has not ended."""
        return self._processes[-1].poll() is None

    def kill(self) -> None:
        """End the server at once; `start` starts it again on the same port."""
        self._processes[-1].kill()
        self._processes[-1].wait(600)

    @abstractmethod
    def address(self, port: int) -> str:
        """Return its address on a port, which may be that of a proxy."""


class Rabbit(Server):
    program = "rabbitmq-server"
    package = "rabbitmq-server"
    client = "pika"

    def start(self) -> None:
        self._broker = rabbitmq.Rabbit(self.folder)
        self._broker.start()
        self.port = self._broker.port

    def stop(self) -> None:
        self._broker.stop()

    def address(self, port: int) -> str:
        return f"amqp://guest:guest@127.0.0.1:{port}"

    def publish(self, topic: str, payloads: list[bytes]) -> None:
        import pika

        with pika.BlockingConnection(pika.URLParameters(self.address(self.port))) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for payload in payloads:
                channel.basic_publish("amq.topic", topic, payload)


class Mosquitto(Server):
    program = "mosquitto"
    package = "mosquitto"
    client = "paho"
    separator = "/"

    def start(self) -> None:
        self._broker = Broker(self.folder)
        self._broker.start()
        self.port = self._broker.port

    def stop(self) -> None:
        self._broker.stop()

    def address(self, port: int) -> str:
        return f"mqtt://127.0.0.1:{port}"

    def publish(self, topic: str, payloads: list[bytes]) -> None:
        import paho.mqtt.client as mqtt

        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id="line", protocol=mqtt.MQTTv5
        )
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        for sent in [client.publish(topic, payload, qos=1) for payload in payloads]:
            sent.wait_for_publish(600)
        client.disconnect()
        client.loop_stop()


class Redis(Server):
    program = "redis-server"
    package = "redis-server"
    client = "redis"
    separator = ":"

    def command(self) -> list[str]:
        return [
            str(self._program),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.folder),
        ]

    def address(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}"


SERVERS: dict[str, type[Server]] = {"mqtt": Mosquitto, "amqp": Rabbit}
