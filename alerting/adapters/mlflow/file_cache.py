"""Files of registered models on this machine, so that the next process needs no registry.

One file per version and set of hashes: a line with the size of each file by name, then their
content. The caller compares every file with these hashes at every load, so a damaged or forged file
is never parsed. An entry is written beside its place and renamed, so that
several processes may read, write and evict at once. The cache may fail in any way: the files are
then downloaded.
"""

import hashlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from alerting.ports import MOST_MODEL_BYTES, Files

MOST_BYTES = 4 << 30  # 3,000 champions of 300 trees; what does not fit is downloaded at each tick


class FolderFileCache:
    """Port `ModelFileCache` in a private folder of `most_bytes`: the least used go first."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def load(
        self, definition: str, version: int, hashes: Mapping[str, str]
    ) -> dict[str, bytes] | None:
        """Return the stored files of these names, unchecked; None if one cannot be read."""
        entry = self._entry(definition, version, hashes)
        try:
            files = _read_entry(entry, min(self._most_bytes, MOST_MODEL_BYTES))
            os.utime(entry)
            return {name: files[name] for name in hashes}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # a damaged entry can fail in each of these ways
            self.drop(definition, version, hashes)  # so that it can be stored again
            return None

    def store(self, definition: str, version: int, hashes: Mapping[str, str], files: Files) -> None:
        """Store files, and drop those longest unused while the folder is too large."""
        if sum(map(len, files.values())) > self._most_bytes:
            return
        entry = self._entry(definition, version, hashes)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for folder in (self._folder.parent, self._folder):
                folder.chmod(0o700)
            self._write(entry, files)
            self._evict(entry)
        except OSError as error:
            logging.getLogger(__name__).warning(
                "the files of a model are not cached in %s: %s", self._folder, error.strerror
            )

    def drop(self, definition: str, version: int, hashes: Mapping[str, str]) -> None:
        _remove(self._entry(definition, version, hashes))

    def _entry(self, definition: str, version: int, hashes: Mapping[str, str]) -> Path:
        identity = json.dumps([definition, version, sorted(hashes.items())])
        return self._folder / hashlib.sha256(identity.encode()).hexdigest()[:40]

    def _write(self, entry: Path, files: Files) -> None:
        head = json.dumps({name: len(data) for name, data in files.items()}).encode()
        descriptor, part = tempfile.mkstemp(prefix=".part-", dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines([head + b"\n", *files.values()])
            Path(part).replace(entry)
        finally:
            Path(part).unlink(missing_ok=True)

    def _evict(self, newest: Path) -> None:
        """Remove files, longest unused first, until they fit, and parts of killed processes."""
        entries = []
        for path in self._folder.iterdir():
            with suppress(OSError):
                entries.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total > self._most_bytes and path != newest:
                _remove(path)
                total -= size


def _remove(entry: Path) -> None:
    with suppress(OSError):
        entry.unlink()


def _read_entry(entry: Path, most_bytes: int) -> dict[str, bytes]:
    """Return an entry's files by name. Raises OSError if not plain, or too large."""
    status = entry.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > most_bytes + (1 << 20):
        raise OSError(f"{entry} is not of the cache")
    head, _, content = entry.read_bytes().partition(b"\n")
    files = {}
    start = 0
    for name, size in json.loads(head).items():
        files[name] = content[start : start + size]
        start += size
    return files
