"""Words of files and messages, from `vocabulary.toml`: of languages, of zones, of programs, and of
titles."""

import tomllib
from importlib.resources import files
from typing import Any

VOCABULARY: dict[str, Any] = tomllib.loads(
    files("alerting.readings").joinpath("vocabulary.toml").read_text(encoding="utf-8")
)
