"""Answers are computed a few at once, in the order in which they were asked for."""

import asyncio
from collections import defaultdict

from alerting.console.gate import Turns


class Slow:
    """Answers a request when it is told to; `begun`: paths in the order of their turns."""

    def __init__(self):
        self.begun = []
        self.may_answer = defaultdict(asyncio.Event)

    async def __call__(self, scope, receive, send):
        self.begun.append(scope["path"])
        await self.may_answer[scope["path"]].wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()  # the reader has not read it yet


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def begun_of(app, at_once, asked, *steps):
    """Ask for paths at once; return those whose turn has come, then after each step on the
    requests."""

    async def send(_):
        """Send nothing."""

    turns = Turns(app, at_once=at_once)
    usual = {"type": "http", "method": "GET", "query_string": b""}
    tasks = [asyncio.create_task(turns(usual | one, None, send)) for one in asked]
    begun = []
    for step in (list, *steps):
        step(tasks)
        await settle()
        begun.append([*app.begun])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return begun


def test_two_take_their_turns_and_the_third_waits_until_an_answer_begins():
    app = Slow()
    asked = [{"path": path} for path in ("/a", "/b", "/c", "/d")]
    steps = (lambda _: app.may_answer["/b"].set(), lambda tasks: tasks[0].cancel())
    begun = asyncio.run(begun_of(app, 2, asked, *steps))
    assert begun == [["/a", "/b"], ["/a", "/b", "/c"], ["/a", "/b", "/c", "/d"]]


def test_a_change_a_live_page_and_what_waits_take_no_turn():
    asked = [
        {"path": "/slow"},
        {"path": "/episodes", "method": "POST"},
        {"path": "/api/v1/live"},
        {"path": "/api/v1/previews/p", "query_string": b"wait=20"},
    ]
    [begun] = asyncio.run(begun_of(Slow(), 1, asked))
    assert {*begun} == {one["path"] for one in asked}
