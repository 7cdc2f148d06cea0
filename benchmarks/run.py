"""`python -m benchmarks.run [NAME]`: one JSON line per benchmark.

A benchmark is a module of this package with `run() -> dict`; a ratio above 1 is better than the
peer. Each runs in its own process, so that the memory of one does not affect another.
"""

import json
import pkgutil
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import benchmarks

LIGHT = ("features", "recommend")  # all others take minutes and run only by name
HELPERS = ("run", "helpers", "peers")


def names() -> list[str]:
    """Return the names of all benchmarks."""
    found = pkgutil.iter_modules(benchmarks.__path__)
    return sorted(one.name for one in found if one.name not in HELPERS)


def load(name: str) -> ModuleType:
    """Return the module of a benchmark."""
    return import_module(f"benchmarks.{name}")


def _full_name(name: str, known: list[str]) -> str:
    """Return the one benchmark whose name begins with `name`; `name` itself if there is none or
    several."""
    found = [candidate for candidate in known if candidate.startswith(name)]
    return found[0] if name not in known and len(found) == 1 else name


def main(arguments: list[str]) -> int:
    """Run the named benchmark here, or all light ones in turn. Exit code 1 when one fails
    or misses its goal."""
    known = names()
    arguments = [_full_name(name, known) for name in arguments]
    unknown = [name for name in arguments if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    if len(arguments) == 1:
        result = load(arguments[0]).run()
        print(json.dumps(result), flush=True)
        return 1 if result["met"] is False else 0  # None: the benchmark could not measure
    if not arguments:
        print(
            f"left out, because they take minutes: {', '.join(sorted({*known} - {*LIGHT}))}; "
            "name one to run it",
            file=sys.stderr,
        )
    chosen = arguments or LIGHT
    return max(subprocess.call([sys.executable, "-m", "benchmarks.run", name]) for name in chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
