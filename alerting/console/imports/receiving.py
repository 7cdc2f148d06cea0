"""Receiving of files: the body of a request, or the file field of a form, straight to the disk."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from alerting.definitions.faults import UserError, storable
from alerting.definitions.wording.clean_text import clean_line
from alerting.definitions.wording.language import translatable

_MOST_FIELDS = 20
_LONGEST_FIELD = 2000
_LONGEST_HEADER = 4000
_LONGEST_NAME = 200
Fields = dict[str, str]
Admit = Callable[[Fields, str], Path]
"""Admits a file by the fields that stand before it in the form and its name; returns its path."""
RequireSpace = Callable[[], None]
"""Raises if the disk has no room for more; asked while a file comes."""
_ASKED_EVERY = 16 << 20  # bytes
_UNREADABLE = "the form cannot be read: it is no form with a file"


def file_name(text: str) -> str:
    """Return the name of a file as its sender wrote it: without folders, cut and printable."""
    name = clean_line(storable(text.replace("\\", "/").rpartition("/")[2])).strip()
    return name[:_LONGEST_NAME] or "file"


async def receive_body(request: Request, path: Path, require_space: RequireSpace) -> None:
    """Write the body of a request to a file. Raises what `require_space` raises."""
    with path.open("wb") as file:
        write = _bounded(file, require_space)
        async for chunk in request.stream():
            await run_in_threadpool(write, chunk)


def _bounded(file: BinaryIO, require_space: RequireSpace) -> Callable[[bytes], None]:
    """Return the function that writes to a file, and asks before each further piece of it."""
    left = 0

    def write(data: bytes) -> None:
        nonlocal left
        if len(data) > left:
            require_space()
            left = _ASKED_EVERY + len(data)
        left -= len(data)
        file.write(data)

    return write


async def receive_form(
    request: Request, fields: Fields, admit: Admit, require_space: RequireSpace
) -> None:
    """Write the one file of a form to the path that `admit` gives it, which a thread calls.
    `fields`: takes the other fields of the form, also of one that is refused then.

    Raises HTTPException 422 for a body that is no form, UserError for one without a file, and what
    `admit` and `require_space` raise.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise HTTPException(422, _UNREADABLE)
    form = _Form(fields, admit, require_space)
    try:
        parser = MultipartParser(boundary, form.callbacks)  # type: ignore[arg-type]
        async for chunk in request.stream():
            await run_in_threadpool(parser.write, chunk)
        parser.finalize()
    except FormParserError as fault:
        raise HTTPException(422, _UNREADABLE) from fault
    finally:
        form.close()
    if form.files != 1:
        raise UserError(translatable("choose a file"))


class _Form:
    """A form under way: its fields in memory within bounds, its file on the disk."""

    def __init__(self, fields: Fields, admit: Admit, require_space: RequireSpace) -> None:
        self._admit = admit
        self._require_space = require_space
        self._write: Callable[[bytes], None] | None = None
        self._fields = fields
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._name = ""
        self._file: BinaryIO | None = None
        self._text = bytearray()
        self.files = 0

    @property
    def callbacks(self) -> dict[str, Callable[..., None]]:
        """Return the functions that the parser calls."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._extend(self._header, data[start:end]),
            "on_header_value": lambda data, start, end: self._extend(self._value, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self._end_part,
        }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin_part(self) -> None:
        self._disposition = b""
        self._text.clear()

    def _extend(self, text: bytearray, more: bytes) -> None:
        if len(text) + len(more) > _LONGEST_HEADER:
            raise HTTPException(422, _UNREADABLE)
        text += more

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        named = options.get(b"filename")
        if named is None:
            if len(self._fields) >= _MOST_FIELDS:
                raise HTTPException(422, _UNREADABLE)
            return
        if not named or self.files:  # a form without a chosen file has an empty name
            raise UserError(translatable("choose a file"))
        self.files += 1
        path = self._admit(self._fields, file_name(named.decode("utf-8", "replace")))
        self._file = path.open("wb")
        self._write = _bounded(self._file, self._require_space)

    def _take(self, data: bytes) -> None:
        if self._file is not None and self._write is not None:
            self._write(data)
        elif len(self._text) + len(data) > _LONGEST_FIELD:
            raise HTTPException(422, _UNREADABLE)
        else:
            self._text += data

    def _end_part(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        else:
            self._fields[self._name] = self._text.decode("utf-8", "replace")
