"""Receivers of sinks on this machine, of which a test reads what they got."""

import json
import queue
import time
from contextlib import contextmanager

from alerting.adapters.channels.egress import Egress
from alerting.adapters.sinks.receivers import Surroundings
from alerting.adapters.sources.secrets import resolver
from tests.helpers.brokers import SERVERS
from tests.helpers.http_receiver import http_receiver

HANG_S = 600


def surroundings(url, **more):
    """Return surroundings in which RECEIVER_URL is this address."""
    environ = {"RECEIVER_URL": url, **more}
    return Surroundings(
        resolver(environ), Egress(["127.0.0.1"]), lambda path: f"http://console{path}"
    )


def wait_until(happened, what=""):
    """Wait with the limit of a hang."""
    end = time.monotonic() + HANG_S
    while not (found := happened()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found


class WebReceiver:
    """A web server. `contents`: what it got, each first delivery once, in order."""

    kind = "webhook"

    def __init__(self, server):
        self._server = server
        self.port = server.server_port

    def address(self, port):
        return f"http://127.0.0.1:{port}/hook"

    def contents(self):
        return [body["data"] for body in self._server.bodies]

    def keys(self):
        return [headers["webhook-id"] for _, headers, _ in self._server.seen]

    def refuse(self, part):
        """Refuse messages for ever with this text in them."""

        def look():
            body = json.dumps(self._server.bodies[-1])
            self._server.status = 422 if part in body else 200

        self._server.look = look


class MqttReceiver:
    """A broker with a subscriber of everything."""

    kind = "mqtt"

    def __init__(self, server):
        import paho.mqtt.client as mqtt

        self._server = server
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
        return [json.loads(one.payload) for one in self._got]

    def keys(self):
        return [dict(one.properties.UserProperty)["key"] for one in self._got]

    def topics(self):
        return [one.topic for one in self._got]

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()

    def retained(self, topic):
        """Return what a new subscriber gets of a topic."""
        from paho.mqtt import subscribe

        found = subscribe.simple(topic, hostname="127.0.0.1", port=self.port, keepalive=60)
        return json.loads(found.payload), bool(found.retain)


@contextmanager
def web_receiver(_):
    with http_receiver() as server:
        yield WebReceiver(server)


@contextmanager
def mqtt_receiver(folder):
    server = SERVERS["mqtt"](folder)
    server.start()
    try:
        receiver = MqttReceiver(server)
        try:
            yield receiver
        finally:
            receiver.close()
    finally:
        server.stop()


RECEIVERS = {"webhook": web_receiver, "mqtt": mqtt_receiver}
