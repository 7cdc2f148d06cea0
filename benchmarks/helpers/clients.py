"""Clients that ask an HTTP server together, in a process of their own.

The process holds nothing but them, and reads of an answer only what it must: a search for garbage
in a program that has trained a model stops its fifty clients for a quarter of a second, and an HTTP
library takes a fifth of the time of a small answer.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Question:
    """A request of all clients to one address: `bodies` in turn, until so many answers have come or
    so many seconds are over. `field`: each answer must hold a value of it."""

    url: str
    headers: Mapping[str, str]
    bodies: Sequence[Any]
    field: str
    answers: int
    longest_s: float


def ask_together(question: Question, clients: int) -> tuple[list[float], float]:
    """Return the milliseconds of each answer, and the seconds that all took.

    Raises RuntimeError for an answer that is no success or holds no value.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_ask_together, question, clients).result()


def _ask_together(question: Question, clients: int) -> tuple[list[float], float]:
    return asyncio.run(_ask(question, clients))


async def _ask(question: Question, clients: int) -> tuple[list[float], float]:
    requests = [_request(question, body) for body in question.bodies]
    address = urlsplit(question.url)
    streams = [
        await asyncio.open_connection(address.hostname, address.port) for _ in range(clients)
    ]
    times: list[float] = []
    asked = 0
    begin = time.perf_counter()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while asked < question.answers and time.perf_counter() - begin < question.longest_s:
            request = requests[asked % len(requests)]
            asked += 1
            sent = time.perf_counter()
            writer.write(request)
            head, answer = await _answer(reader)
            times.append(1000 * (time.perf_counter() - sent))
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise RuntimeError(answer.decode()[:1000])
            if json.loads(answer)[question.field] is None:
                raise RuntimeError(f"an answer without {question.field}: {answer.decode()[:1000]}")

    await asyncio.gather(*(ask(reader, writer) for reader, writer in streams))
    took = time.perf_counter() - begin
    for _, writer in streams:
        writer.close()
    return times, took


def _request(question: Question, body: Any) -> bytes:
    address = urlsplit(question.url)
    content = json.dumps(body).encode()
    fields = {
        "host": address.netloc,
        "content-type": "application/json",
        "content-length": str(len(content)),
        **question.headers,
    }
    lines = [f"POST {address.path} HTTP/1.1", *(f"{name}: {at}" for name, at in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    return head, await reader.readexactly(length)
