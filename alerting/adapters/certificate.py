"""A certificate for a trial of HTTPS, signed by itself."""

import os
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from alerting.definitions.faults import UserError

LASTS = timedelta(days=90)
OLDER_CLOCKS = timedelta(hours=1)  # of browsers that are behind


def make_certificate(name: str, folder: Path, now: datetime) -> tuple[Path, Path]:
    """Write `tls_cert.pem` and `tls_key.pem` for a name or address of this machine; return both.

    It is also good for this machine's loopback names, and ends after 90 days. Raises UserError if
    the files are there already, or the name is none.
    """
    cert = folder / "tls_cert.pem"
    key = folder / "tls_key.pem"
    for path in (cert, key):
        if path.exists():
            raise UserError(f"{path} is there already: remove it first, or use it")
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - OLDER_CLOCKS)
        .not_valid_after(now + LASTS)
        .add_extension(
            x509.SubjectAlternativeName(
                [_general_name(one) for one in dict.fromkeys((name, "localhost", "127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(private, hashes.SHA256())
    )
    _write(cert, made.public_bytes(serialization.Encoding.PEM), 0o644)
    content = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(key, content, 0o600)
    return cert, key


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as fault:
        raise UserError(
            f"{name!r} is neither a name nor an address of a machine: write for example "
            "plant-7.example.com or 10.0.0.5"
        ) from fault


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except OSError as fault:
        raise UserError(f"{path} cannot be written: {fault.strerror}") from fault
