"""`python -m benchmarks.run [NAME]`: one JSON line per benchmark.

A benchmark is a module of this package, or of a group of it, with `run() -> dict`, named as the
module; a ratio above 1 is better than the peer. Each runs in its own process, so that the memory of
one does not affect another.
"""

import json
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import benchmarks

# they take minutes and run only by name
HEAVY = (
    "alarm_rule",
    "anomaly",
    "archive",
    "audit",
    "automl",
    "champion_load",
    "chance",
    "cluster",
    "console_load",
    "drift",
    "evaluate",
    "forecast",
    "front_page",
    "growth",
    "idle",
    "import_rate",
    "kinds",
    "live",
    "plant",
    "rabbitmq",
    "report",
    "reports_due",
    "restarts",
    "scaling",
    "scheduler",
    "series",
    "serve",
    "similar",
    "steps",
    "stream",
    "training_scale",
    "trial",
    "year",
)
GROUPS = ("advice", "growth", "kinds", "reports")
TRIAL = "benchmarks.trial.trial"  # its other modules are no benchmarks
HELPERS = ("run", "__main__", "helpers", "peers", "trial", *GROUPS)


def names() -> list[str]:
    """Return the names of all benchmarks."""
    return sorted(_modules())


def load(name: str) -> ModuleType:
    """Return the module of a benchmark."""
    return import_module(_modules()[name])


def _modules() -> dict[str, str]:
    """Return the modules of all benchmarks by their name."""
    folder = Path(benchmarks.__path__[0])
    found = {
        one.name: f"benchmarks.{one.name}"
        for one in pkgutil.iter_modules([str(folder)])
        if one.name not in HELPERS
    }
    found["trial"] = TRIAL
    for group in GROUPS:
        inside = pkgutil.iter_modules([str(folder / group)])
        found |= {one.name: f"benchmarks.{group}.{one.name}" for one in inside}
    return found


def _full_name(name: str, known: list[str]) -> str:
    """Return the one benchmark whose name begins with `name`; `name` itself if there is none or
    several."""
    found = [candidate for candidate in known if candidate.startswith(name)]
    return found[0] if name not in known and len(found) == 1 else name


def main(arguments: list[str]) -> int:
    """Run the named benchmark here, or all but the heavy ones in turn. Exit code 1 when one fails
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
            f"left out, because they take minutes: {', '.join(HEAVY)}; name one to run it",
            file=sys.stderr,
        )
    chosen = arguments or [name for name in known if name not in HEAVY]
    return max(subprocess.call([sys.executable, "-m", "benchmarks.run", name]) for name in chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
