"""Changing requests to Airflow's API come one after the other; reading ones, and those whose body
has not come yet, delay nobody."""

import asyncio

import pytest

from alerting.adapters.airflow.one_writer import OneWriter

pytestmark = pytest.mark.fast


class App:
    """An application whose requests end when they are let go."""

    def __init__(self):
        self.log = []
        self.let_go = {}

    async def __call__(self, scope, receive, send):
        name = scope["path"]
        body = b""
        while (message := await receive())["more_body"]:
            body += message["body"]
        body += message["body"]
        self.log.append(f"begin {name} {body.decode()}".strip())
        await self.let_go.setdefault(name, asyncio.Event()).wait()
        self.log.append(f"end {name}")

    def end(self, name):
        self.let_go.setdefault(name, asyncio.Event()).set()


class Sender:
    """The body of a request, in pieces that come one by one."""

    def __init__(self, *pieces):
        self.pieces = asyncio.Queue()
        for piece in pieces:
            self.pieces.put_nowait(piece)

    async def __call__(self):
        return await self.pieces.get()


def whole(body=b""):
    return {"type": "http.request", "body": body, "more_body": False}


async def run_ready():
    """Let every task go on until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


def start(app, method, path, sender):
    scope = {"type": "http", "method": method, "path": path}
    return asyncio.ensure_future(app(scope, sender, None))


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_a_change_begins_when_the_one_before_has_ended(method):
    async def scenario():
        app = App()
        served = OneWriter(app)
        tasks = [start(served, method, name, Sender(whole(b"x"))) for name in ("a", "b")]
        await run_ready()
        assert app.log == ["begin a x"]
        app.end("a")
        app.end("b")
        await asyncio.gather(*tasks)
        assert app.log == ["begin a x", "end a", "begin b x", "end b"]

    asyncio.run(scenario())


def test_who_only_reads_does_not_wait_for_a_change():
    async def scenario():
        app = App()
        served = OneWriter(app)
        changing = start(served, "POST", "a", Sender(whole()))
        await run_ready()
        app.end("b")
        await start(served, "GET", "b", Sender(whole()))
        assert app.log == ["begin a", "begin b", "end b"]
        app.end("a")
        await changing

    asyncio.run(scenario())


def test_a_body_that_comes_slowly_or_never_delays_no_other_change_and_arrives_whole():
    async def scenario():
        app = App()
        served = OneWriter(app)
        slow = Sender({"type": "http.request", "body": b"first ", "more_body": True})
        waiting = start(served, "POST", "slow", slow)
        await run_ready()
        app.end("quick")
        await start(served, "POST", "quick", Sender(whole()))
        assert app.log == ["begin quick", "end quick"]
        app.end("slow")
        slow.pieces.put_nowait(whole(b"last"))
        await waiting
        assert app.log[2:] == ["begin slow first last", "end slow"]

    asyncio.run(scenario())


def test_a_change_that_fails_lets_the_next_one_begin():
    async def fail(scope, receive, send):
        raise ValueError(scope["path"])

    async def scenario():
        served = OneWriter(fail)
        for name in ("a", "b"):
            with pytest.raises(ValueError, match=name):
                await start(served, "POST", name, Sender(whole()))

    asyncio.run(scenario())
