"""A Mosquitto broker of its own, from Debian's package, for tests of sources."""

from pathlib import Path

import pytest

from benchmarks.helpers.mosquitto import Mosquitto


class Broker(Mosquitto):
    """A broker on this machine; a test that wants it is skipped where it is not installed."""

    def __init__(self, folder: Path) -> None:
        try:
            super().__init__(folder)
        except FileNotFoundError as missing:
            pytest.skip(str(missing))
