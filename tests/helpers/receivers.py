"""Receivers of sinks on this machine, of which a test reads what they got."""

import json
import queue
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from alerting.adapters.receivers.egress import Egress
from alerting.adapters.receivers.sinks import Surroundings
from alerting.adapters.sources.addresses_and_secrets import resolver
from tests.helpers import brokers
from tests.helpers.http_receiver import http_receiver
from tests.helpers.mariadb import mariadb_server
from tests.helpers.postgres import postgres_server

HANG_S = 600
LONGEST_ACCEPTED = 4000
"""Characters of a title that every receiver accepts once it refuses."""


def surroundings(url, **more):
    """Return surroundings in which RECEIVER_URL is this address."""
    environ = {"RECEIVER_URL": url, **more}
    return Surroundings(resolver(environ), Egress(["127.0.0.1"]))


def wait_until(happened, what=""):
    """Wait with the limit of a hang."""
    end = time.monotonic() + HANG_S
    while not (found := happened()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found


@contextmanager
def looking(*works):
    """Do what each turn of the stream service does, on a thread."""
    stopped = Event()

    def repeat():
        while not stopped.wait(0.02):
            for work in works:
                work()

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class Receiver(ABC):
    """A receiver. `keys`: of all messages that it has, in order; `contents`: these messages.

    `drops`: it drops a message whose key it has.
    """

    kind = ""
    drops = False
    port = 0

    @abstractmethod
    def address(self, port):
        """Return its address on a port, which may be that of a proxy."""

    @abstractmethod
    def contents(self):
        """Return what it got."""

    def keys(self):
        return [one["key"] for one in self.contents()]

    def refuse(self):
        """Refuse messages with a title longer than LONGEST_ACCEPTED, of oven-1."""
        pytest.skip("it refuses nothing")

    def accept(self):  # noqa: B027 - most refuse nothing
        """Refuse nothing any more."""

    def reset(self):  # noqa: B027 - some forget by themselves
        """Forget everything."""

    def close(self):  # noqa: B027 - some have nothing to end
        """End."""


class WebReceiver(Receiver):
    kind = "webhook"

    def __init__(self, server):
        self._server = server
        self.port = server.server_port

    def address(self, port):
        return f"http://127.0.0.1:{port}/hook"

    def contents(self):
        found = [(headers["webhook-id"], body["data"]) for _, headers, body in self._server.seen]
        assert all(key == data["key"] for key, data in found)
        return [data for _, data in found]

    def refuse(self):
        def look():
            title = self._server.bodies[-1]["data"].get("title", "")
            self._server.status = 422 if len(title) > LONGEST_ACCEPTED else 200

        self._server.look = look

    def accept(self):
        self._server.look = lambda: None
        self._server.status = 200

    def reset(self):
        self._server.seen.clear()
        self.accept()


class MqttReceiver(Receiver):
    kind = "mqtt"

    def __init__(self, server):
        import paho.mqtt.client as mqtt

        self.port = server.port
        self._got = []
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id="scada", protocol=mqtt.MQTTv5
        )
        subscribed = queue.SimpleQueue()
        self._client.on_message = lambda _, __, message: self._got.append(message)
        self._client.on_subscribe = lambda *_: subscribed.put(True)
        self._client.connect("127.0.0.1", self.port)
        self._client.loop_start()
        self._client.subscribe("#", qos=1)
        subscribed.get(timeout=HANG_S)

    def address(self, port):
        return f"mqtt://127.0.0.1:{port}"

    def contents(self):
        return [json.loads(one.payload) for one in self._got if not one.retain]

    def topics(self):
        return [one.topic for one in self._got if not one.retain]

    def refuse(self):
        """Do nothing: its largest packet is set when it starts."""

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()

    def reset(self):
        self._got.clear()

    def retained(self, topic):
        """Return what a new subscriber gets of a topic."""
        from paho.mqtt import subscribe

        found = subscribe.simple(topic, hostname="127.0.0.1", port=self.port, keepalive=60)
        assert found.retain
        return json.loads(found.payload)


class SqlReceiver(Receiver):
    kind = "sql"
    drops = True
    tables = ("alarms", "acknowledgements", "scores", "forecasts", "readings")

    def __init__(self, url):
        import sqlalchemy as sa

        from alerting.adapters.sources.sql import engine_of

        self._url = sa.make_url(url)
        self._engine = engine_of("test", url)
        self.port = self._url.port

    def address(self, port):
        return self._url.set(port=port).render_as_string(hide_password=False)

    def contents(self):
        import sqlalchemy as sa

        present = sa.inspect(self._engine).get_table_names()
        found = []
        for name in self.tables:
            if f"alerting_{name}" in present:
                with self._engine.connect() as connection:
                    table = sa.table(f"alerting_{name}")
                    rows = connection.execute(sa.select(sa.text("*")).select_from(table)).mappings()
                    found += [{"sends": name, "ts": row["at"], **row} for row in rows]
        return sorted(found, key=lambda row: (row["at"], row["key"]))

    def refuse(self):
        import sqlalchemy as sa

        # the sink makes its tables as it connects, after it has a position
        wait_until(lambda: sa.inspect(self._engine).has_table("alerting_alarms"))
        rule = f"CHECK (length(title) < {LONGEST_ACCEPTED})"
        self._run(f"ALTER TABLE alerting_alarms ADD CONSTRAINT short {rule}")

    def accept(self):
        self._run("ALTER TABLE alerting_alarms DROP CONSTRAINT short")

    def reset(self):
        for name in self.tables:
            self._run(f"DROP TABLE IF EXISTS alerting_{name} CASCADE")  # with its views

    def close(self):
        self._engine.dispose()

    def _run(self, statement):
        import sqlalchemy as sa

        with self._engine.begin() as connection:
            connection.execute(sa.text(statement))


@contextmanager
def started(server):
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _web(_):
    with http_receiver() as server:
        yield WebReceiver(server)


@contextmanager
def _mqtt(folder):
    server = brokers.SERVERS["mqtt"](folder)
    with server_settings(folder), started(server):
        yield MqttReceiver(server)


@contextmanager
def server_settings(folder):
    """Let Mosquitto refuse larger packets: the file of its settings is written when it is made."""
    made = brokers.Broker.__init__

    def limited(self, where):
        made(self, where)
        with (where / "mosquitto.conf").open("a") as file:
            file.write(f"max_packet_size {LONGEST_ACCEPTED}\n")

    brokers.Broker.__init__ = limited
    try:
        yield
    finally:
        brokers.Broker.__init__ = made


def _database(server):
    @contextmanager
    def made(folder):
        yield from (SqlReceiver(url) for url in server(folder))

    return made


RECEIVERS = {
    "webhook": _web,
    "mqtt": _mqtt,
    "postgresql": _database(lambda _: postgres_server()),
    "mariadb": _database(mariadb_server),
}
