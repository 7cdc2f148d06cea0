"""Certificate of the server, and those of the clients that it trusts."""

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from alerting.definitions.faults import UserError

LASTS = timedelta(days=5 * 365)
MOST_CLIENTS = 200
LARGEST_FILE = 64 * 1024
CERTIFICATE = "server_cert.pem"
KEY = "server_key.pem"
CLIENTS = "clients"
_BEHIND = timedelta(hours=1)  # clocks of clients


def prepare_folder(folder: Path, host: str, uri: str, now: datetime) -> tuple[Path, Path, Path]:
    """Return certificate, key and the folder of trusted clients; made once, if they are missing."""
    clients = folder / CLIENTS
    clients.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate = folder / CERTIFICATE
    key = folder / KEY
    if not certificate.exists() and not key.exists():
        _make(certificate, key, host, uri, now)
    return certificate, key, clients


def read_trusted(folder: Path, now: datetime) -> frozenset[bytes]:
    """Return the certificates of clients in a folder (PEM or DER) that are in force, in DER form.
    A file that is none is left out."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} of the certificates of clients: make it")
    found = set[bytes]()
    for path in sorted(folder.iterdir())[:MOST_CLIENTS]:
        if not path.is_file() or path.stat().st_size > LARGEST_FILE:
            continue
        one = _read(path.read_bytes())
        if one is not None and one.not_valid_before_utc <= now <= one.not_valid_after_utc:
            found.add(one.public_bytes(serialization.Encoding.DER))
    return frozenset(found)


def fingerprint(certificate: bytes | None) -> str:
    """Return the name under which people compare a certificate."""
    if not certificate:
        return "none"
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate)
    return digest.finalize().hex()[:40]


def _read(content: bytes) -> x509.Certificate | None:
    for load in (x509.load_pem_x509_certificate, x509.load_der_x509_certificate):
        try:
            return load(content)
        except ValueError:
            continue
    return None


def _make(certificate: Path, key: Path, host: str, uri: str, now: datetime) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alerting")])
    names = [_general_name(one) for one in dict.fromkeys((host, "localhost", "127.0.0.1"))]
    usage = dict.fromkeys(
        ("key_agreement", "crl_sign", "encipher_only", "decipher_only", "key_cert_sign"), False
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _BEHIND)
        .not_valid_after(now.astimezone(UTC) + LASTS)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), *names]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=True,
                key_encipherment=True,
                data_encipherment=True,
                **usage,
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    content = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(key, content, 0o600)
    _write(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
