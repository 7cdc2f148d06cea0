"""Answers are computed a few at once, in the order in which they were asked for."""

import asyncio

from alerting.console.attempts import Turns


class Slow:
    """Answers a request when it is told to; `begun`: paths in the order of their turns."""

    def __init__(self):
        self.begun = []
        self.may_answer = {}
        self.may_end = {}

    async def __call__(self, scope, receive, send):
        path = scope["path"]
        self.begun.append(path)
        await self.may_answer.setdefault(path, asyncio.Event()).wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.may_end.setdefault(path, asyncio.Event()).wait()
        await send({"type": "http.response.body", "body": b""})


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


def ask(turns, path, method="GET", query=b""):
    async def send(_):
        pass

    scope = {"type": "http", "method": method, "path": path, "query_string": query}
    return asyncio.create_task(turns(scope, None, send))


def test_two_take_their_turns_and_the_third_waits_until_an_answer_begins():
    async def run():
        app = Slow()
        turns = Turns(app, at_once=2)
        tasks = [ask(turns, path) for path in ("/a", "/b", "/c", "/d")]
        await settle()
        assert app.begun == ["/a", "/b"]
        app.may_answer["/b"].set()
        await settle()
        # the reader of /b has not read it yet
        assert app.begun == ["/a", "/b", "/c"]
        tasks[0].cancel()
        await settle()
        assert app.begun == ["/a", "/b", "/c", "/d"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


def test_a_change_a_live_page_and_what_waits_take_no_turn():
    async def run():
        app = Slow()
        turns = Turns(app, at_once=1)
        tasks = [
            ask(turns, "/slow"),
            ask(turns, "/episodes", "POST"),
            ask(turns, "/api/v1/live"),
            ask(turns, "/api/v1/previews/p", query=b"wait=20"),
        ]
        await settle()
        assert set(app.begun) == {"/slow", "/episodes", "/api/v1/live", "/api/v1/previews/p"}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
