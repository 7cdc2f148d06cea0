"""A message that claims more than it inflates to: the embedded database answers nothing of its own
memory (CVE-2025-14847)."""

import socket
import struct
import zlib

from pymongo import MongoClient

OP_COMPRESSED = 2012
OP_MSG = 2013
COMPRESSORS = {"snappy": 1, "zlib": 2, "zstd": 3}.values()
CLAIMED = range(100, 8000, 130)
"""Lengths that the probes claim for a message of some 20 bytes."""


def probe(length: int, compressor: int) -> bytes:
    """A compressed message with a document of a claimed length, of which only the first field is
    there."""
    document = struct.pack("<i", length) + b"\x10a\x00\x01\x00\x00\x00"
    message = struct.pack("<I", 0) + b"\x00" + document
    body = struct.pack("<iiB", OP_MSG, length + 500, compressor) + zlib.compress(message)
    return struct.pack("<iiii", 16 + len(body), 1, 0, OP_COMPRESSED) + body


def answer(port: int, message: bytes) -> bytes:
    """Everything that the server answers before it closes the connection, or for two seconds."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=2.0) as connection:
        connection.sendall(message)
        try:
            while piece := connection.recv(65_536):
                found += piece
                if len(found) >= struct.unpack_from("<i", found)[0]:
                    break
        except (TimeoutError, ConnectionResetError):
            pass
    return found


def test_the_embedded_server_answers_no_compressed_message(real_mongod):
    probes = [probe(length, compressor) for compressor in COMPRESSORS for length in CLAIMED]
    assert not any(answer(real_mongod.port, message) for message in probes)


def test_a_client_that_asks_for_compression_is_served_without(real_mongod):
    address = f"{real_mongod.uri}&compressors=zlib"
    with MongoClient(address, serverSelectionTimeoutMS=5000) as client:
        assert client.admin.command("hello").get("compression", []) == []
        assert client["alerting"]["definitions"].find_one() is None
