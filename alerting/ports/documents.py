"""Types of documents and files for the ports."""

from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]


Files = Mapping[str, bytes]
