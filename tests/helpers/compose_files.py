"""The services of docker-compose.yml, and of the file for several workers beside it."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


class Overlay(yaml.SafeLoader):
    """Reads the tag by which a file replaces what another one has."""


Overlay.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def usual_services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def scaled_services() -> dict[str, dict[str, Any]]:
    """Return what the file for several workers adds and changes."""
    text = (ROOT / "config" / "compose" / "scale.yml").read_text()
    return yaml.load(text, Overlay)["services"]  # noqa: S506 - a safe loader with one more tag
