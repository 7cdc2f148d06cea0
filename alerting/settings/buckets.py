"""Addresses in S3 object stores: bucket and path, and the folders that the settings allow."""

import re

FORM = "s3://bucket/folder/name"
_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[^/]+)*)/?")
Parts = tuple[str, ...]
"""The bucket, and the parts of a path in it."""
_LONGEST_PATH_BYTES = 1024  # by the rules of S3


def address_parts(text: str) -> Parts:
    """Return bucket and path of an address. Raises ValueError for another place."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not text.isprintable() or len(found[2].encode()) > _LONGEST_PATH_BYTES:
        raise ValueError(f"not an address in an object store: write {FORM}, without credentials")
    parts = (found[1], *found[2].split("/")[1:])
    if any(part in (".", "..") or "\\" in part for part in parts) or ".." in parts[0]:
        raise ValueError("an address in an object store has no part `.` or `..`, and no backslash")
    return parts


def bucket_folders(text: str) -> tuple[Parts, ...]:
    """Return the folders of a list such as `s3://plant/exports`.

    Raises ValueError if one is no address in an object store.
    """
    return tuple(address_parts(part.strip()) for part in text.split(",") if part.strip())
