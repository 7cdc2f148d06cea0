"""Brokers of their own, from Debian's packages, for tests of sources: started once, on free ports, in temporary folders."""

import os
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from tests.helpers.mosquitto import Broker
from tests.support import free_port

SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/usr/lib/rabbitmq/bin"


class Server(ABC):
    """A server on a port of this machine. A broker publishes payloads under a topic; its topics have this separator."""

    program: str
    package: str
    client: str
    separator = "."

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._program = shutil.which(self.program, path=SBIN)
        if self._program is None:
            pytest.skip(f"{self.program} is not installed: apt-get install --no-install-recommends {self.package}")
        pytest.importorskip(self.client.split("==")[0], reason=f"pip install {self.client}")
        self._processes: list[subprocess.Popen[bytes]] = []

    def command(self) -> list[str]:
        """Return the command that starts the server."""
        return [self.program]

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        self._run(self.command())
        until = time.monotonic() + 120
        while not self._answers():
            assert time.monotonic() < until
            assert self._processes[-1].poll() is None, (self.folder / "out").read_text()
            time.sleep(0.05)

    def _run(self, command: list[str]) -> None:
        with (self.folder / "out").open("ab") as out:
            environment = {**os.environ, **self.environment()}
            self._processes.append(subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=self.folder))

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(30)

    def prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Make what a plant has before a source is applied."""

    @abstractmethod
    def address(self, port: int) -> str:
        """Return its address on a port, which may be that of a proxy."""

    @abstractmethod
    def publish(self, topic: str, payloads: list[bytes]) -> None:
        """Publish payloads under a topic."""


class Rabbit(Server):
    program, package, client = "rabbitmq-server", "rabbitmq-server", "pika"

    def command(self) -> list[str]:
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": str(self._others[0]),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._others[1]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def start(self) -> None:
        self._others = free_port(), free_port()
        (self.folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = false\n")
        (self.folder / "plugins").write_text("[].")
        self._run(["epmd"])  # else RabbitMQ leaves one running
        super().start()

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
    program, package, client, separator = "mosquitto", "mosquitto", "paho", "/"

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

        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="line", protocol=mqtt.MQTTv5)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        for sent in [client.publish(topic, payload, qos=1) for payload in payloads]:
            sent.wait_for_publish(20)
        client.disconnect()
        client.loop_stop()


class Redis(Server):
    program, package, client, separator = "redis-server", "redis-server", "redis", ":"

    def command(self) -> list[str]:
        return [str(self._program), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]

    def address(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}"

    def publish(self, topic: str, payloads: list[bytes]) -> None:
        import redis

        with redis.Redis(port=self.port) as client:
            for payload in payloads:
                client.xadd(topic, {"row": payload})


class Nats(Server):
    program, package, client = "nats-server", "nats-server", "nats"

    def command(self) -> list[str]:
        (self.folder / "nats.conf").write_text("max_payload: 8MB\n")
        own = ["-c", str(self.folder / "nats.conf"), "-sd", str(self.folder / "data")]
        return [str(self._program), "-a", "127.0.0.1", "-p", str(self.port), "-js", *own]

    def address(self, port: int) -> str:
        return f"nats://127.0.0.1:{port}"

    def prepare(self) -> None:
        self._with_stream(lambda stream: stream.add_stream(name="lines", subjects=["line-3.>", "line-4.>"]))

    def publish(self, topic: str, payloads: list[bytes]) -> None:
        async def send(stream):
            for payload in payloads:
                await stream.publish(topic, payload)

        self._with_stream(send)

    def _with_stream(self, work) -> None:
        import asyncio

        import nats

        async def run():
            client = await nats.connect(self.address(self.port))
            await work(client.jetstream())
            await client.close()

        asyncio.run(run())


SERVERS: dict[str, type[Server]] = {"mqtt": Mosquitto, "amqp": Rabbit, "redis": Redis, "nats": Nats}
