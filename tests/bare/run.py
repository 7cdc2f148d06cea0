"""The README's commands on machines that have nothing yet: `python -m tests.bare.run`.

Makes a minimal Debian 12, Ubuntu 24.04 and Ubuntu 22.04 in folders (debootstrap, which needs root),
installs the packages that README names, and runs there as an ordinary user, from a clone of the
last commit, `make up` until its first explained alert and `make test` until its closing line.
Another Debian 12 gets the wheel of the last commit alone, without make, git and the project: it is
installed with the newest packages until `alerting up` has a champion, and with the pinned ones
until `alerting up --no-demo` is ready. A system whose archive cannot be reached is named and left
out.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PASSED_ON = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX"),
    *(f"ALERTING_{part}_PORT" for part in ("API", "AIRFLOW", "MLFLOW", "MONGODB")),
)
USER = 4711
UP_PATIENCE_S = 1800
TEST_PATIENCE_S = 3 * 3600


@dataclass(frozen=True)
class System:
    """A system to make: `script` is debootstrap's, `packages` what the documents say to install.
    `checkout`: it has the project, not its wheel alone."""

    name: str
    suite: str
    components: str
    script: str
    packages: tuple[str, ...]
    python: str
    checkout: bool = True

    @property
    def choice(self) -> str:
        """The word that chooses it on the command line."""
        return self.suite if self.checkout else "wheel"


NEEDED = ("python3", "python3-pip", "make", "git", "ca-certificates")
FOR_WHEEL = ("python3", "python3-venv", "ca-certificates")
UBUNTU_KEYS = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")  # of no package of Debian 12
DEBOOTSTRAP = (Path("/usr/sbin/debootstrap"), Path("/usr/share/debootstrap/scripts/gutsy"))
SYSTEMS = (
    System("Debian 12", "bookworm", "main", "sid", NEEDED, "python3"),
    System("Ubuntu 24.04", "noble", "main,universe", "gutsy", NEEDED, "python3"),
    System(
        "Ubuntu 22.04",
        "jammy",
        "main,universe",
        "gutsy",
        (*NEEDED, "python3.11"),
        "python3.11",
    ),
    System("Debian 12 with the wheel", "bookworm", "main", "sid", FOR_WHEEL, "python3", False),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [system.choice for system in SYSTEMS]
    parser.add_argument("--only", choices=names, help="one of the systems")
    parser.add_argument("--no-test", action="store_true", help="make up alone")
    parser.add_argument("--tests", default="", help="which tests, as for make test ARGS=…")
    chosen = parser.parse_args()
    if os.getuid() != 0 or shutil.which("debootstrap") is None:
        print("bare machines are left out: they need root and `apt-get install debootstrap`")
        return 0
    systems = [system for system in SYSTEMS if chosen.only in (None, system.choice)]
    failed = [
        system.name for system in systems if not run(system, not chosen.no_test, chosen.tests)
    ]
    print(f"bare machines: {len(systems) - len(failed)} passed, {len(failed)} failed", *failed)
    return 1 if failed else 0


def run(system: System, with_tests: bool, tests: str) -> bool:
    """Make one system and run the commands in it. Returns whether all did what they should; a
    system that cannot be reached is said and counts as nothing."""
    mirror = mirror_of(system)
    if mirror is None:
        print(f"{system.name}: left out, its archive cannot be reached")
        return True
    with tempfile.TemporaryDirectory(prefix="alerting-bare-", ignore_cleanup_errors=True) as folder:
        machine = Path(folder)
        machine.chmod(0o755)  # the user inside must reach its root
        began = time.monotonic()
        made = make(system, mirror, machine)
        print(f"{system.name}: made in {time.monotonic() - began:.0f} s")
        if not system.checkout:
            return made and all(up_from_wheel(system, machine, *way) for way in WAYS)
        return made and up(system, machine) and (not with_tests or test(system, machine, tests))


def is_ubuntu(system: System) -> bool:
    return system.script == "gutsy"


def mirror_of(system: System) -> str | None:
    """Return the first archive that debootstrap knows and that has such a system; else None."""
    text = DEBOOTSTRAP[is_ubuntu(system)].read_text(encoding="utf-8")
    mirrors = re.findall(r"(?:default_mirror |DEF_MIRROR=\"?)(http[^\s\"]+)", text)
    return next((mirror for mirror in dict.fromkeys(mirrors) if has_suite(mirror, system)), None)


def has_suite(mirror: str, system: System) -> bool:
    try:
        with urllib.request.urlopen(f"{mirror}/dists/{system.suite}/Release", timeout=10):
            return True
    except OSError:
        return False


def make(system: System, mirror: str, machine: Path) -> bool:
    command = ["debootstrap", "--variant=minbase", f"--components={system.components}"]
    if is_ubuntu(system) and not UBUNTU_KEYS.exists():
        command.append("--no-check-gpg")
    command += [f"--include={','.join(system.packages)}", system.suite, str(machine)]
    done = subprocess.run(
        [*command, mirror, system.script], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        print(f"{system.name}: debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return False
    for file in (CERTIFICATES, Path("/etc/resolv.conf"), Path("/etc/hosts")):
        if file.exists():
            shutil.copy(file, machine / file.relative_to("/"))
    subprocess.run(
        ["chroot", str(machine), "useradd", "-m", "-u", str(USER), "engineer"], check=True
    )
    home = machine / "home" / "engineer"
    with tempfile.TemporaryDirectory() as outside:
        clone = home / "alerting" if system.checkout else Path(outside) / "alerting"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        if not system.checkout:
            subprocess.run(["make", "--silent", "-C", str(clone), "wheel"], check=True)
            shutil.copytree(clone / "dist", home / "dist")
    subprocess.run(["chown", "-R", f"{USER}:{USER}", str(home)], check=True)
    return True


ALARM = """
import json, pathlib, re, sys
from urllib.request import Request, urlopen
said = (pathlib.Path.home() / "up.log").read_text()
token = re.search(r"reads everything +(\\S+)", said)[1]
api = re.search(r"http://127[.]0[.]0[.]1:[0-9]+", said)[0] + "/api/v1/episodes"
found = json.load(urlopen(Request(api, headers={"Authorization": "Bearer " + token})))
sys.exit(all(one["backfilled"] for one in found["items"]))
"""


def up(system: System, machine: Path) -> bool:
    """Run `make up` until a live alarm can be read from its API."""
    script = f"""
        make PYTHON={system.python} up >~/up.log 2>&1 &
        for second in $(seq {UP_PATIENCE_S}); do
            sleep 1
            {system.python} -c {shlex.quote(ALARM)} 2>/dev/null \\
                && echo 'a live alarm' >>~/up.log && break
            kill -0 $! 2>/dev/null || break
        done
        cat ~/up.log"""
    began = time.monotonic()
    output = inside(machine, script, UP_PATIENCE_S + 60)
    is_live = "a live alarm" in output
    print(f"{system.name}: make up, first alarm after {time.monotonic() - began:.0f} s: {is_live}")
    if not is_live:
        print(output[-4000:])
    return is_live


# What is said of the installation, pip's options, those of `alerting up`, and what it says at last
WAYS = (
    ("newest packages", "", "", "biscuits-too-moist: version [0-9]+ is champion"),
    ("pinned packages", "--constraint ~/dist/constraints.txt", "--no-demo", "Open this first"),
)


def up_from_wheel(system: System, machine: Path, what: str, pip: str, up: str, end: str) -> bool:
    """Install the wheel into a new environment, and run `alerting up` in an empty folder until it
    says `end`, then `alerting list`, and end it."""
    script = f"""
        {{ rm -rf ~/venv ~/line ~/.local && mkdir ~/line && {system.python} -m venv ~/venv &&
            ~/venv/bin/pip install --quiet {pip} "$(ls ~/dist/*.whl)[embedded]" && cd ~/line &&
            ~/venv/bin/alerting --version; }} >~/up.log 2>&1 || {{ cat ~/up.log; exit; }}
        ~/venv/bin/alerting up {up} >>~/up.log 2>&1 &
        for second in $(seq {UP_PATIENCE_S}); do
            sleep 1
            grep -Eq '{end}' ~/up.log && ~/venv/bin/alerting list >>~/up.log 2>&1 \
                && kill $! && wait $! && echo 'and all is well' >>~/up.log && break
            kill -0 $! 2>/dev/null || break
        done
        cat ~/up.log"""
    began = time.monotonic()
    output = inside(machine, script, 2 * UP_PATIENCE_S, "~")
    is_fine = "and all is well" in output
    print(f"{system.name}, {what}: {end!r} after {time.monotonic() - began:.0f} s: {is_fine}")
    if not is_fine:
        print(output[-4000:])
    return is_fine


def test(system: System, machine: Path, tests: str) -> bool:
    """Run `make test`: nothing fails, and what is skipped says what to install."""
    began = time.monotonic()
    arguments = shlex.quote(f"-rs {tests}")
    output = inside(machine, f"make PYTHON={system.python} test ARGS={arguments}", TEST_PATIENCE_S)
    closing = [line for line in output.splitlines() if re.search(r"\d+ passed.* in [\d.]+s", line)]
    print(f"{system.name}: make test, {time.monotonic() - began:.0f} s: {closing or 'no end'}")
    fine = bool(closing) and not re.search(r"\d+ (failed|error)", closing[-1])
    if not fine:
        print("\n".join(re.findall(r"(?m)^FAILED .*\n(?: {4}.*\n)*", output)), output[-8000:])
    return fine


def inside(machine: Path, script: str, patience: float, folder: str = "~/alerting") -> str:
    """Return the output of a script that runs in a folder as an ordinary user, in a mount and
    process namespace of its own, so that nothing of it goes on afterwards."""
    environ = {"HOME": "/home/engineer", "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    environ |= {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if CERTIFICATES.exists():
        environ |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT"), str(CERTIFICATES))
    pairs = " ".join(f"{name}={shlex.quote(value)}" for name, value in environ.items())
    mounted = (
        f"mount -t proc proc {machine}/proc; mount --rbind /dev {machine}/dev; "
        f"mount -t tmpfs -o mode=1777 tmpfs {machine}/tmp; exec chroot --userspec={USER}:{USER} "
        f"{machine} env -i {pairs} bash -c {shlex.quote(f'cd {folder}; {script}')}"
    )
    command = ["unshare", "--mount", "--pid", "--fork", "bash", "-c", mounted]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=patience, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        return str(late.output or "")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
