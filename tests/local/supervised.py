"""A small platform to supervise: `python -m tests.local.supervised FOLDER`; parts are
named for what they do."""

import sys
from pathlib import Path

from alerting.local.supervisor import Part, StartFailed, Supervisor, run_guarded

# leaves a grandchild in a session of its own, as a daemon does
PARENT = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(300)", sys.argv[1]], start_new_session=True)
draft = pathlib.Path(sys.argv[1] + ".new")
draft.write_text(str(child.pid))
draft.replace(sys.argv[1])
time.sleep(300)
"""  # noqa: E501
STUBBORN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(300)
"""


def python(code: str, *arguments: str) -> tuple[str, ...]:
    """Run this code, with its folder as mark of whose it is."""
    return (sys.executable, "-S", "-c", code, *arguments)


def on_a_full_disk(folder: Path) -> Part:
    """Return a database that ends at once."""
    return Part(
        "database",
        "database",
        ("false",),
        {},
        ready=lambda: False,
        writes_to=folder / "database.log",
        cause=lambda: "the disk is full",
    )


def without_a_library(folder: Path) -> Part:
    """Return a database that the loader refuses, so that it never begins its own log."""
    return Part(
        "database",
        "database",
        python("raise SystemExit('libcurl.so.4: cannot open shared object file')", str(folder)),
        {},
        ready=lambda: False,
        writes_to=folder / "data" / "database.log",
    )


FAULTY_DATABASES = {"--full-disk": on_a_full_disk, "--lacking": without_a_library}


def main(folder: Path, faulty_database: Part | None, failing: bool, patient: bool) -> int:
    """Start them all."""
    grandchild = folder / "grandchild"
    ignoring = folder / "ignoring"
    parts = [
        Part("database", "database", python("import time; time.sleep(300)", str(folder)), {}),
        Part(
            "prepare",
            "preparing",
            python("print('all prepared')", str(folder)),
            {},
            ("database",),
            once=True,
            talks=True,
        ),
        Part(
            "parent",
            "parent",
            python(PARENT, str(grandchild)),
            {},
            ("prepare",),
            grandchild.exists,
            uses=("later",),
        ),
        Part(
            "later", "later", python("import time; time.sleep(300)", str(folder)), {}, ("prepare",)
        ),
        Part(
            "stubborn",
            "stubborn",
            python(STUBBORN, str(ignoring)),
            {},
            ("prepare",),
            ignoring.exists,
            grace_s=300.0 if patient else 0.5,
        ),
    ]
    if failing:
        parts.append(
            Part(
                "broken",
                "broken",
                python("raise SystemExit('no disk left')", str(folder)),
                {},
                once=True,
            )
        )

    if faulty_database is not None:
        parts = [faulty_database]

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def show(text: str) -> None:
        if text.startswith("stopping"):
            say(text)

    def stopping() -> None:
        say("stopping soon")

    def work() -> int:
        supervisor = Supervisor(parts, folder, folder, say, show)
        try:
            milestones = {("parent", "stubborn"): lambda: say("milestone")}
            supervisor.run({} if faulty_database else milestones, stopping)
        except StartFailed as failure:
            say(f"failed: {failure}")
            return 1
        return 0

    return run_guarded(work)


if __name__ == "__main__":
    home = Path(sys.argv[1])
    faulty = [make(home) for option, make in FAULTY_DATABASES.items() if option in sys.argv]
    options = ("--failing", "--patient")
    sys.exit(main(home, faulty[0] if faulty else None, *(option in sys.argv for option in options)))
