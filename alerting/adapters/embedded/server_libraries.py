"""Shared libraries of the embedded server: those of this machine, and libcurl of pycurl's wheel
where the machine has none.
"""

import importlib.util
import os
import subprocess
from pathlib import Path

from alerting.definitions.faults import UserError

LIBCURL = "libcurl.so.4"
PACKAGES = {  # of Debian and Ubuntu, by the library that they bring
    LIBCURL: "libcurl4",
    "libcrypto.so.3": "libssl3",
    "libssl.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
    "libgcc_s.so.1": "libgcc-s1",
}
_LINKS = "libraries"
_PATIENCE_S = 30.0


def library_path(binary: Path, folder: Path) -> str:
    """Return the `LD_LIBRARY_PATH` with which the server finds all libraries that it needs: that of
    this process, unless the machine has no libcurl.

    A link to pycurl's libcurl is made in `folder`. Raises UserError with the missing libraries and
    what installs them.
    """
    path = os.environ.get("LD_LIBRARY_PATH", "")
    missing = missing_libraries(binary, path)
    if LIBCURL in missing and (wheel := libcurl_of_wheel()) is not None:
        path = ":".join(filter(None, [_link_libcurl(wheel, folder / _LINKS), path]))
        missing = missing_libraries(binary, path)
    if missing:
        packages = " ".join(sorted({PACKAGES.get(name, name) for name in missing}))
        raise UserError(
            f"the embedded MongoDB server needs {', '.join(missing)}, which this machine does not "
            f"have: install it (Debian and Ubuntu: apt-get install {packages}), or set "
            "ALERTING_MONGODB_URI to a server of your own"
        )
    return path


def missing_libraries(binary: Path, path: str) -> list[str]:
    """Return the libraries that a program needs and the loader does not find, by name, with `path`
    as its `LD_LIBRARY_PATH`. The program is not run."""
    environ = {"LD_TRACE_LOADED_OBJECTS": "1", "LC_ALL": "C", "LD_LIBRARY_PATH": path}
    listed = subprocess.run(
        [binary], env=environ, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
    ).stdout
    return sorted(
        {line.split()[0] for line in listed.splitlines() if line.endswith("=> not found")}
    )


def libcurl_of_wheel() -> Path | None:
    """Return the file of libcurl in pycurl's wheel; None if it brings none."""
    package = importlib.util.find_spec("pycurl")
    if package is None or package.origin is None:
        return None
    libraries = Path(package.origin).parents[1] / "pycurl.libs"
    return next(iter(sorted(libraries.glob("libcurl-*.so.4*"))), None)


def _link_libcurl(wheel: Path, folder: Path) -> str:
    """Make libcurl known under the name that the server asks for; return the path of search. Its
    own libraries stand beside it in the wheel."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    link = folder / LIBCURL
    if not link.is_symlink() or link.readlink() != wheel:
        new = folder / f"{LIBCURL}.{os.getpid()}"
        new.unlink(missing_ok=True)
        new.symlink_to(wheel)
        new.replace(link)
    return f"{folder}:{wheel.parent}"
