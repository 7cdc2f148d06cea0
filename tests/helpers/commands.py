"""A record of the commands that clients of the platform send to a real server, without handshake
and authentication."""

from functools import partial

import bson
from pymongo import MongoClient, monitoring

HANDSHAKE = {
    "hello",
    "ismaster",
    "isMaster",
    "saslStart",
    "saslContinue",
    "authenticate",
    "getnonce",
}


class CommandRecord(monitoring.CommandListener):
    """Names of commands with their collections, and the bytes of the documents that came back."""

    def __init__(self):
        self.commands = []
        self.received = 0

    def started(self, event):
        if event.command_name not in HANDSHAKE:
            self.commands.append(f"{event.command_name} {event.command.get(event.command_name)}")

    def succeeded(self, event):
        cursor = event.reply.get("cursor", {})
        found = [
            document for part in ("firstBatch", "nextBatch") for document in cursor.get(part, ())
        ]
        self.received += sum(
            len(one if isinstance(one, bytes) else bson.encode(one)) for one in found
        )

    def failed(self, event):
        pass

    def clear(self):
        self.commands = []
        self.received = 0


def record_commands(monkeypatch):
    """Return the record of every client that the platform makes from now on."""
    record = CommandRecord()
    monkeypatch.setattr(
        "alerting.adapters.mongo.mongo.MongoClient", partial(MongoClient, event_listeners=[record])
    )
    return record
