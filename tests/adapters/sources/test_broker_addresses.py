"""Addresses and certificates of brokers: a fault never shows a part of the address, and a wrong
certificate is refused."""

import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime

import pytest

from alerting.adapters.sources.addresses_and_secrets import read_address
from alerting.adapters.sources.brokers import STREAMS, open_stream
from alerting.definitions.faults import DocumentRefused, UserError
from alerting.definitions.sources import parse_source

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SCHEMES = {
    "mqtt": ("mqtt", "mqtts"),
    "amqp": ("amqp", "amqps"),
    "opcua": ("opc.tcp", ""),
}
PORTS = {"amqp": 5672, "amqps": 5671}
NODES = {"ns=2;s=x": {"variable": "x"}}


def source(kind, **changes):
    what = {"nodes": NODES} if kind == "opcua" else {"topic": "line-3"}
    return parse_source(
        {
            "name": "line",
            "kind": kind,
            "url": {"env": "BROKER_URL"},
            "asset": "o",
            **what,
            **changes,
        }
    )


@pytest.mark.parametrize("kind", STREAMS)
def test_an_address_that_cannot_be_read_is_a_fault_without_its_text(kind):
    for address in ("me:sec/ret@host", "me:sec#ret@host", "me:1#ret@host", "[sec", ""):
        with pytest.raises(UserError, match="not the address of a broker") as fault:
            open_stream(kind, source(kind), f"{SCHEMES[kind][0]}://{address}", lambda: NOON, ())
        assert not any(part in str(fault.value) for part in ("sec", "ret@", "me:"))
        assert fault.value.__suppress_context__ or fault.value.__context__ is None


def test_the_parts_of_an_address_are_decoded():
    found = read_address(source("amqp"), "amqp://me:a%2Fb@host/line%203", PORTS, has_path=True)
    parts = (found.host, found.port, found.user, found.password, found.path)
    assert parts == ("host", 5672, "me", "a/b", "line 3")


def test_certificates_without_encryption_and_a_key_without_certificate_are_faults():
    with pytest.raises(UserError, match="its url is not encrypted: write amqps://"):
        read_address(source("amqp", tls={"ca": "/x.pem"}), "amqp://host", PORTS)
    with pytest.raises(UserError, match=r"tls: /nothing\.pem cannot be read: No such file"):
        read_address(source("amqp", tls={"ca": "/nothing.pem"}), "amqps://host", PORTS)
    with pytest.raises(DocumentRefused, match="is the key of no certificate"):
        source("amqp", tls={"key": "/x.pem"})


def test_a_server_is_trusted_by_its_authority_alone_and_knows_the_platform_by_its_certificate(
    tmp_path,
):
    ca, key = certify(tmp_path, "ca")
    other, _ = certify(tmp_path, "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    known = {"certificate": str(ca), "key": str(key)}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=greet, args=(listener, context), daemon=True).start()
        address = f"amqps://127.0.0.1:{listener.getsockname()[1]}"

        def answer(**tls):
            found = read_address(source("amqp", tls=tls), address, PORTS)
            plain = socket.create_connection((found.host, found.port))
            with found.tls.wrap_socket(plain, server_hostname=found.host) as connection:
                return connection.recv(100)

        assert answer(ca=str(ca), **known) == b"ca"
        with pytest.raises(ssl.SSLError):
            answer(ca=str(ca))
        with pytest.raises(ssl.SSLCertVerificationError):
            answer(ca=str(other), **known)
    key.chmod(0o644)
    with pytest.raises(UserError, match="may be read by others"):
        answer(ca=str(ca), **known)


def greet(listener, context):
    """Answer each client with the name in its certificate, until the listener is closed."""
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(plain, server_side=True) as connection:
                subject = dict(part[0] for part in connection.getpeercert()["subject"])
                connection.sendall(subject["commonName"].encode())
        except ssl.SSLError:
            plain.close()


def certify(folder, name):
    """Write a certificate of this machine and its key, which trust themselves alone."""
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}"
    words += f" -addext subjectAltName=IP:127.0.0.1 -out {paths[0]} -keyout {paths[1]}"
    subprocess.run(words.split(), check=True, capture_output=True)
    return paths
