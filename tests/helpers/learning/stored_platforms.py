"""Platforms in memory with trained champions, from a cache on disk: for tests whose subject is not
the training."""

import fcntl
import hashlib
import inspect
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from alerting.ports import Platform
from tests.in_memory_platform import in_memory_platform

ROOT = Path(__file__).parents[3]
# What decides how a champion is trained and evaluated, and which classes a platform consists of.
CODE = (
    "alerting/adapters/memory",
    "alerting/definitions",
    "alerting/detection",
    "alerting/episodes",
    "alerting/kinds",
    "alerting/learning",
    "alerting/ports",
    "alerting/readings",
    "alerting/usecases/definitions",
    "alerting/usecases/evaluation",
    "alerting/usecases/ingestion",
    "alerting/usecases/training",
    "config/constraints.txt",
    "config/examples/demo",
    "tests/helpers",
    "tests/*.py",
)
MOST_FILES = 40  # half of them are locks


def stored_platform(make: Callable[..., Platform], *arguments: Any) -> Platform:
    """Return `make(*arguments)`, or what it returned before with the same code, libraries and
    arguments. `make` takes no other input; processes that run at the same time make it once."""
    file = _folder() / _key(make, arguments)
    with file.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = _read(file)
        if made is None:
            made = make(*arguments)
            _write(file, made)
    return made


def _folder() -> Path:
    cached = os.environ.get("XDG_CACHE_HOME")
    folder = Path(cached) / "alerting-tests" if cached else ROOT / ".pytest_cache" / "platforms"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _key(make: Callable[..., Platform], arguments: tuple[Any, ...]) -> str:
    own = Path(inspect.getsourcefile(make) or "")
    told = (_code(), own.read_bytes(), make.__qualname__, arguments)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    code = hashlib.sha256()
    for file in _files():
        code.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return code.hexdigest()


def _files() -> Iterator[Path]:
    for pattern in CODE:
        for path in sorted(ROOT.glob(pattern)):
            below = [path] if path.is_file() else sorted(path.rglob("*"))
            yield from (file for file in below if file.suffix in (".py", ".txt", ".yaml"))


def _read(file: Path) -> Platform | None:
    """Return a stored platform; none if there is none, or if it cannot be read."""
    try:
        stored = pickle.loads(file.read_bytes())  # noqa: S301 - written by _write, by this user
        os.utime(file)
    except Exception:  # pickle raises anything for a file that is cut off or of other classes
        return None
    return replace(in_memory_platform(), **stored)


def _write(file: Path, made: Platform) -> None:
    """Store a platform without its budget, which is the usual one; the oldest files leave."""
    parts = {f.name: getattr(made, f.name) for f in fields(made) if f.init and f.name != "budget"}
    own = file.with_suffix(f".{os.getpid()}")
    own.write_bytes(pickle.dumps(parts))
    own.replace(file)
    files = []
    for path in file.parent.iterdir():
        with suppress(FileNotFoundError):  # another process of tests was first
            files.append((path.stat().st_mtime, path))
    for _, old in sorted(files)[:-MOST_FILES]:
        old.unlink(missing_ok=True)
