"""Write the list of parts of this environment (SBOM) as CycloneDX 1.6: `python -m tools.sbom FILE`.

Listed is each installed package with version, licence, package URL, what it needs, and the SHA-256
of its wheel where `make wheels` has made one. Packages that only development needs are `excluded`.
Not listed: Python itself, and packages of the operating system or of an image.
"""

import hashlib
import json
import sys
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
OWN = "alerting"
DEVELOPMENT = {"dev"}
LONGEST_LICENSE = 100


def main() -> int:
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m tools.sbom FILE\n")
        return 1
    packages: dict[str, Distribution] = {canonicalize_name(d.name): d for d in distributions()}
    document = describe(packages, hash_wheels(ROOT / "wheels"), datetime.now(UTC))
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{len(document['components'])} parts in {sys.argv[1]}")
    return 0


def describe(
    packages: Mapping[str, Distribution], hashes: Mapping[tuple[str, str], str], at: datetime
) -> dict[str, Any]:
    """Return the document. `hashes`: SHA-256 of wheels by name and version."""
    own = packages[OWN]
    extras = set(own.metadata.get_all("Provides-Extra", [])) - DEVELOPMENT
    used = needed_by(own, extras, packages)
    others = {name: found for name, found in sorted(packages.items()) if name != OWN}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": at.isoformat(timespec="seconds"),
            "component": {"type": "application", **_part(OWN, own)},
        },
        "components": [
            {
                "type": "library",
                **_part(name, found),
                "scope": "required" if name in used else "excluded",
                **_hashes(hashes.get((name, found.version))),
            }
            for name, found in others.items()
        ],
        "dependencies": [
            {
                "ref": _purl(name, found),
                "dependsOn": sorted(
                    _purl(one, packages[one])
                    for one, _ in direct_needs(found, set())
                    if one in packages
                ),
            }
            for name, found in packages.items()
        ],
    }


def needed_by(
    package: Distribution, extras: set[str], packages: Mapping[str, Distribution]
) -> set[str]:
    """Return the names of all installed packages that a package with these extras needs."""
    ahead = [*direct_needs(package, extras)]
    seen = set[tuple[str, frozenset[str]]]()
    while ahead:
        name, wanted = ahead.pop()
        if name in packages and (name, wanted) not in seen:
            seen.add((name, wanted))
            ahead += direct_needs(packages[name], wanted)
    return {name for name, _ in seen}


def direct_needs(package: Distribution, extras: Iterable[str]) -> list[tuple[str, frozenset[str]]]:
    """Return what a package needs here, with the extras of each."""
    found: list[tuple[str, frozenset[str]]] = []
    for text in package.requires or ():
        need = Requirement(text)
        if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in ("", *extras)):
            found.append((canonicalize_name(need.name), frozenset(need.extras)))
    return found


def hash_wheels(folder: Path) -> dict[tuple[str, str], str]:
    """Return the SHA-256 of each wheel of a folder by name and version."""
    found: dict[tuple[str, str], str] = {}
    for file in folder.glob("*.whl"):
        name, version, *_ = parse_wheel_filename(file.name)
        with file.open("rb") as content:
            found[name, str(version)] = hashlib.file_digest(content, "sha256").hexdigest()
    return found


def _part(name: str, found: Distribution) -> dict[str, Any]:
    purl = _purl(name, found)
    license = _license(found)
    own = {"bom-ref": purl, "name": name, "version": found.version, "purl": purl}
    return own | ({"licenses": [license]} if license else {})


def _purl(name: str, found: Distribution) -> str:
    return f"pkg:pypi/{name}@{found.version}"


def _license(found: Distribution) -> dict[str, Any] | None:
    """Return the licence: an SPDX expression where the package has one, else the name it gives."""
    metadata = found.metadata.json
    if expression := metadata.get("license_expression"):
        return {"expression": expression}
    given = str(metadata.get("license") or "").strip()
    classified = [
        text.rpartition(" :: ")[2]
        for text in found.metadata.get_all("Classifier", [])
        if text.startswith("License :: ")
    ]
    is_name = given and "\n" not in given and len(given) <= LONGEST_LICENSE
    name = given if is_name else ", ".join(classified)
    return {"license": {"name": name}} if name else None


def _hashes(sha256: str | None) -> dict[str, Any]:
    return {"hashes": [{"alg": "SHA-256", "content": sha256}]} if sha256 else {}


if __name__ == "__main__":
    sys.exit(main())
