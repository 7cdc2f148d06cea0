"""Secrets of a backup in one file, encrypted with a password of at least 32 characters."""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from alerting.definitions.faults import UserError
from alerting.settings.home import LEAST_KEY

_SALT_BYTES = 16


def read_password(file: Path) -> bytes:
    """Return the password in a file. Raises UserError if it is too short, or cannot be read."""
    try:
        password = file.read_bytes().strip()
    except OSError as fault:
        raise UserError(f"ALERTING_BACKUP_KEY_FILE cannot be read: {fault.strerror}") from fault
    if len(password) < LEAST_KEY:
        raise UserError(
            f"the password in {file} is too short: write at least {LEAST_KEY} random characters, "
            "for example those of `openssl rand -base64 48`"
        )
    return password


def encrypt_files(files: Mapping[str, bytes], password: bytes) -> bytes:
    """Return files by their name as one encrypted text."""
    salt = os.urandom(_SALT_BYTES)
    texts = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return (
        base64.b64encode(salt) + b"\n" + _cipher(password, salt).encrypt(json.dumps(texts).encode())
    )


def decrypt_files(encrypted: bytes, password: bytes) -> dict[str, bytes]:
    """Return the files of an encrypted text. Raises UserError for another password."""
    try:
        salt, _, token = encrypted.partition(b"\n")
        texts = json.loads(_cipher(password, base64.b64decode(salt)).decrypt(token))
        files = {name: base64.b64decode(text) for name, text in texts.items()}
    except (InvalidToken, ValueError, TypeError, AttributeError) as fault:
        raise UserError(
            "the secrets of the backup cannot be decrypted: ALERTING_BACKUP_KEY_FILE has another "
            "password than when it was made, or the backup is damaged"
        ) from fault
    for name in files:
        if "/" in name or "\0" in name or name in ("", ".", ".."):
            raise UserError(f"the backup names a secret outside of the home, {name!r}")
    return files


def _cipher(password: bytes, salt: bytes) -> Fernet:
    key = Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(password)
    return Fernet(base64.urlsafe_b64encode(key))
