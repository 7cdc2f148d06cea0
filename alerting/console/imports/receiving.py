"""Receiving of the one file of a form, straight to the disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from alerting.definitions.faults import UserError, storable
from alerting.definitions.wording.clean_text import clean_line
from alerting.definitions.wording.language import translatable

_MOST_FIELDS = 20
_LONGEST = 4000  # bytes of a field, and of a line above it
_LONGEST_NAME = 200
_ASKED_EVERY = 16 << 20  # bytes
_UNREADABLE = "the form cannot be read: it is no form with a file"
Fields = dict[str, str]
Admit = Callable[[Fields, str], Path]
"""Admits a file by the fields that stand before it in the form and its name; returns its path."""


def file_name(text: str) -> str:
    """Return the name of a file as its sender wrote it: without folders, cut and printable."""
    name = clean_line(storable(text.replace("\\", "/").rpartition("/")[2])).strip()
    return name[:_LONGEST_NAME] or "file"


async def receive_form(
    request: Request, fields: Fields, admit: Admit, require_space: Callable[[], None]
) -> None:
    """Write the one file of a form to the path that `admit` gives it, in a thread. `fields`: takes
    the other fields, also of a form that is refused then. `require_space`: raises if the disk has
    no room for more; asked while the file comes.

    Raises HTTPException 422 for a body that is no form, UserError for one without a file, and what
    `admit` and `require_space` raise.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise HTTPException(422, _UNREADABLE)
    form = _Form(fields, admit, require_space)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in request.stream():
            await run_in_threadpool(parser.write, chunk)
        parser.finalize()
    except FormParserError as fault:
        raise HTTPException(422, _UNREADABLE) from fault
    finally:
        if form.file is not None:
            form.file.close()
    if form.file is None:
        raise UserError(translatable("choose a file"))


class _Form:
    """A form under way: its fields in memory within bounds, its file on the disk."""

    def __init__(self, fields: Fields, admit: Admit, require_space: Callable[[], None]) -> None:
        self.file: BinaryIO | None = None
        self._fields = fields
        self._admit = admit
        self._require_space = require_space
        self._header = [bytearray(), bytearray()]
        self._text = bytearray()
        self._name = ""
        self._left = 0

    def callbacks(self) -> Any:
        """Return the functions that the parser calls."""
        name, value = self._header
        return {
            "on_header_field": lambda data, start, end: _extend(name, data[start:end]),
            "on_header_value": lambda data, start, end: _extend(value, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_part,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self._end_part,
        }

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._text[:] = value
        name.clear()
        value.clear()

    def _begin_part(self) -> None:
        _, options = parse_options_header(bytes(self._text))
        self._text.clear()
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        sent = options.get(b"filename")
        if sent is None:
            if len(self._fields) >= _MOST_FIELDS:
                raise HTTPException(422, _UNREADABLE)
        elif not sent or self.file is not None:  # a form without a chosen file has an empty name
            raise UserError(translatable("choose a file"))
        else:
            path = self._admit(self._fields, file_name(sent.decode("utf-8", "replace")))
            self.file = path.open("xb")

    def _take(self, data: bytes) -> None:
        if self.file is None or self.file.closed:
            _extend(self._text, data)
            return
        self._left -= len(data)
        if self._left < 0:
            self._require_space()
            self._left = _ASKED_EVERY
        self.file.write(data)

    def _end_part(self) -> None:
        if self.file is not None and not self.file.closed:
            self.file.close()
        else:
            self._fields[self._name] = self._text.decode("utf-8", "replace")
        self._text.clear()


def _extend(text: bytearray, more: bytes) -> None:
    if len(text) + len(more) > _LONGEST:
        raise HTTPException(422, _UNREADABLE)
    text += more
