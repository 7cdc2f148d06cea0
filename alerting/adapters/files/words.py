"""Words of files, from `words.toml`: of languages, of zones, of programs, and of titles."""

import tomllib
from importlib.resources import files
from typing import Any

WORDS: dict[str, Any] = tomllib.loads(
    files("alerting.adapters.files").joinpath("words.toml").read_text(encoding="utf-8")
)
