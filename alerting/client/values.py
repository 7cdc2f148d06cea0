"""Types of what the client takes besides the bodies of the API."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, BinaryIO

Instant = datetime | str
"""An instant with a zone, or its text after ISO 8601."""
Document = Mapping[str, Any]
"""A definition or a source, as in its file."""
FileContent = bytes | BinaryIO
"""A file: all of it, or open for reading, which is then sent piece by piece."""
