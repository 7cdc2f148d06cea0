"""Checks of a skops file before skops reads it: it may not unpack to more than its size.

The platform's own files are stored without compression, so a compressed file is foreign. An array
takes the memory of its stated shape before a byte of it is read, so the shape must match the bytes
in the file.
"""

import io
import math
import re
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from alerting.learning.models.trained import ModelRefused

SCHEMA = "schema.json"
MOST_MEMBERS = 100_000
MOST_SCHEMA = 64 << 20
_ARRAY = re.compile(r"\d{1,20}\.npy")
_ENCRYPTED = 1
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def check_archive(data: bytes, name: str) -> None:
    """Refuse a skops archive that takes more memory than its size, or has more than arrays."""
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            _check_members(archive.infolist(), len(data))
            for member in archive.infolist():
                if member.filename != SCHEMA:
                    check_array(archive.read(member))
    except (
        BadZipFile,
        ValueError,
        KeyError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
    ) as fault:
        raise ModelRefused(f"{name} is damaged and was not loaded: {fault}") from fault


def _check_members(members: list[ZipInfo], size: int) -> None:
    names = [member.filename for member in members]
    if len(names) > MOST_MEMBERS or len(set(names)) != len(names) or names.count(SCHEMA) != 1:
        raise ValueError("its members are not those of a model")
    if any(
        m.compress_type != ZIP_STORED or m.flag_bits & _ENCRYPTED or m.file_size != m.compress_size
        for m in members
    ):
        raise ValueError("it is compressed; the archives of this platform are not")
    if sum(m.file_size for m in members) > size:
        raise ValueError("its unpacked size exceeds its stated size")
    if any(m.file_size > MOST_SCHEMA for m in members if m.filename == SCHEMA):
        raise ValueError(f"its {SCHEMA} is larger than {MOST_SCHEMA >> 20} MiB")
    strange = next((name for name in names if name != SCHEMA and not _ARRAY.fullmatch(name)), None)
    if strange is not None:
        raise ValueError(f"it holds {strange[:80]!r}, which is not an array")


def check_array(content: bytes) -> None:
    """Refuse an `.npy` file whose header states another size, or that has objects. Raises
    ValueError."""
    file = io.BytesIO(content)
    read = _HEADERS.get(np.lib.format.read_magic(file))
    if read is None:
        raise ValueError("an array is of an unknown format")
    try:
        shape, _, dtype = read(file)
    except Exception as fault:  # a forged header can make it fail in any way
        raise ValueError("the header of an array cannot be read") from fault
    if (
        dtype.hasobject
        or any(n < 0 for n in shape)
        or math.prod(shape) * dtype.itemsize != len(content) - file.tell()
    ):
        raise ValueError("an array differs from its stated size")
