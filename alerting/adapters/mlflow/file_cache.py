"""Files of registered models on this machine, so that the next process needs no registry.

One folder per version and set of hashes. The caller compares every file with these hashes at every load, so a damaged or forged
file is never parsed. An entry is written beside its place and renamed, so that several processes may read, write and evict at
once. The cache may fail in any way: the files are then downloaded.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from alerting.ports import Files

MOST_BYTES = 1 << 30
_PART, _PART_LASTS_S = ".part-", 3600.0
_log = logging.getLogger(__name__)


class FolderFileCache:
    """Port `ModelFileCache` in a folder that only its owner may enter. `most_bytes`: beyond, the least recently used go."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._most_bytes = folder, most_bytes

    def load(self, definition: str, version: int, hashes: Mapping[str, str]) -> dict[str, bytes] | None:
        """Return the stored files of these names, without a check of their content; None if one of them cannot be read."""
        entry = self._entry(definition, version, hashes)
        try:
            files = _read_files(entry, hashes, self._most_bytes)
            os.utime(entry)
        except OSError:
            self._remove(entry)  # so that it can be stored again
            return None
        return files

    def store(self, definition: str, version: int, hashes: Mapping[str, str], files: Files) -> None:
        """Store files, and drop what was not used for the longest time while the folder is too large."""
        if sum(map(len, files.values())) > self._most_bytes:
            return
        entry = self._entry(definition, version, hashes)
        try:
            self._make_folder()
            self._write(entry, files)
            self._evict(entry)
        except OSError as error:
            _log.warning("the files of a model are not cached in %s: %s", self._folder, error.strerror)

    def drop(self, definition: str, version: int, hashes: Mapping[str, str]) -> None:
        """Remove the stored files, if there are any."""
        self._remove(self._entry(definition, version, hashes))

    def _entry(self, definition: str, version: int, hashes: Mapping[str, str]) -> Path:
        identity = json.dumps([definition, version, sorted(hashes.items())])
        return self._folder / hashlib.sha256(identity.encode()).hexdigest()[:40]

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for folder in (self._folder.parent, self._folder):
            folder.chmod(0o700)

    def _write(self, entry: Path, files: Files) -> None:
        """Write an entry under another name, then rename it; another process may have stored the same one meanwhile."""
        part = Path(tempfile.mkdtemp(prefix=_PART, dir=self._folder))
        try:
            for name, data in files.items():
                with os.fdopen(os.open(part / _file_name(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(data)
            with suppress(OSError):  # a folder that is not empty cannot be replaced
                part.rename(entry)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _evict(self, newest: Path) -> None:
        """Remove entries, the least recently used first, until the rest fits, and what killed processes have left."""
        entries = []
        for path in self._folder.iterdir():
            with suppress(OSError):
                entries.append((path.stat().st_mtime, sum(file.stat().st_size for file in path.iterdir()), path))
        total = sum(size for _, size, _ in entries)
        for used_at, size, path in sorted(entries):
            is_left = path.name.startswith(_PART) and time.time() - used_at > _PART_LASTS_S
            if is_left or (total > self._most_bytes and path != newest):
                self._remove(path)
                total -= size

    def _remove(self, entry: Path) -> None:
        """Rename an entry, so that no process finds a part of it, and remove it."""
        gone = entry.with_name(f"{_PART}{os.getpid()}-{time.monotonic_ns()}")
        with suppress(OSError):
            entry.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def _file_name(name: str) -> str:
    """Return a name that never leaves the folder, whatever the name in the registry is."""
    return hashlib.sha256(name.encode()).hexdigest()[:40]


def _read_files(entry: Path, names: Mapping[str, str], most_bytes: int) -> dict[str, bytes]:
    """Return plain files by name. Raises OSError for anything else, and if they are too large to be of the cache."""
    files: dict[str, bytes] = {}
    left = most_bytes
    for name in names:
        with os.fdopen(os.open(entry / _file_name(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            left -= os.fstat(file.fileno()).st_size
            if left < 0:
                raise OSError(f"{entry} is larger than the cache may be")
            files[name] = file.read()
    return files
