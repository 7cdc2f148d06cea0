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


def whole(body=b""):
    return {"type": "http.request", "body": body, "more_body": False}


def sender(*pieces):
    """Return the pieces of a request's body, which come one by one."""
    queue = asyncio.Queue()
    for piece in pieces:
        queue.put_nowait(piece)
    return queue


async def run_ready():
    """Let every task go on until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


def start(app, method, path, body=None):
    scope = {"type": "http", "method": method, "path": path}
    return asyncio.ensure_future(app(scope, (body or sender(whole())).get, None))


def test_a_change_begins_when_the_one_before_has_ended_and_who_only_reads_does_not_wait():
    async def scenario(method):
        app = App()
        served = OneWriter(app)
        tasks = [start(served, method, name, sender(whole(b"x"))) for name in ("a", "b")]
        await run_ready()
        app.end("read")
        await start(served, "GET", "read")
        for name in ("a", "b"):
            app.end(name)
        await asyncio.gather(*tasks)
        return app.log

    order = ["begin a x", "begin read", "end read", "end a", "begin b x", "end b"]
    methods = ("POST", "PATCH", "PUT", "DELETE")
    assert {of: asyncio.run(scenario(of)) for of in methods} == dict.fromkeys(methods, order)


def test_a_body_that_comes_slowly_or_never_delays_no_other_change_and_arrives_whole():
    async def scenario():
        app = App()
        served = OneWriter(app)
        slow = sender({"type": "http.request", "body": b"first ", "more_body": True})
        waiting = start(served, "POST", "slow", slow)
        await run_ready()
        app.end("quick")
        await start(served, "POST", "quick")
        app.end("slow")
        slow.put_nowait(whole(b"last"))
        await waiting
        return app.log

    order = ["begin quick", "end quick", "begin slow first last", "end slow"]
    assert asyncio.run(scenario()) == order


def test_a_change_that_fails_lets_the_next_one_begin():
    async def fail(scope, receive, send):
        raise ValueError(scope["path"])

    async def scenario():
        served = OneWriter(fail)
        for name in ("a", "b"):
            with pytest.raises(ValueError, match=name):
                await start(served, "POST", name)

    asyncio.run(scenario())
