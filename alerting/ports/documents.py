"""What documents and files are to a port."""

from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]


Files = Mapping[str, bytes]
