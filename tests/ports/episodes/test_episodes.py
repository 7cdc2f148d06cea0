"""Port `Episodes`."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from alerting.adapters.mongo.mongo import open_stores
from alerting.episodes.episode import (
    ActorStamp,
    Alternative,
    Change,
    EarlierAdvice,
    Episode,
    LeverReport,
    PresentAdvice,
    RecommendationResult,
    alarm_of,
)
from alerting.ports import Conflict
from alerting.stores.episodes import _episode_document
from tests.builders import at
from tests.helpers.contracts import each, step, unit_step
from tests.helpers.episodes import closed, episode, full_episode
from tests.helpers.stores import broken_in_memory


def following(one: Episode, **changes) -> Episode:
    return replace(one, version=one.version + 1, **changes)


def refreshed() -> Episode:
    """An episode with advice of now, its alternatives, and the advice before."""
    raised = replace(full_episode(), id="r" * 24, asset="oven-3")
    ramp = Change("recipe", "rye", "oat", None, timedelta(minutes=3))
    other = Alternative(
        (ramp,), 0.2, "Set it", 0.5, 0.9, "aim", (Change("temperature", 210.0, 205.0, "°C"),)
    )
    lever = LeverReport("temperature", 0.3, 12, "")
    newest = RecommendationResult(
        (ramp,), 0.7, 0.1, True, "m", 0.1, 0.4, "aim", (), (other,), "least", 40, (lever,)
    )
    earlier = EarlierAdvice(at(1), at(4), 0.8, raised.recommendation.changes, "lower it")
    return replace(
        raised,
        present=PresentAdvice(at(5), at(4), 0.7, 0.3, 4, raised.contributions, newest, (earlier,)),
    )


def over(raised, until, **changes):
    return replace(episode(raised, **changes), condition="closed", closed_at=at(until))


def insert(*episodes):
    return [step("episodes.insert", one, gives=True) for one in episodes]


def find(*gives, **named):
    return step("episodes.find", gives=list(gives), **named)


FIRST = episode(0)
SECOND = episode(0, asset="oven-2")
REFUSED = {
    "an id that is stored": closed(episode(0, title="another")),
    "a second open one": episode(20),
    "a version too far": following(following(FIRST)),
    "the next version of nothing": following(episode(30)),
}
A = closed(episode(0))
B = episode(10)
C = closed(episode(20, asset="oven-2"))
D = closed(episode(30, definition="too-moist"))
JUST_BEFORE = A.closed_at - timedelta(milliseconds=1)
EARLY = closed(episode(10), outcome_due_at=at(59))
LATE = closed(episode(20), outcome_due_at=at(60))
INSIDE = full_episode()
AFTER = INSIDE.raised_at + timedelta(seconds=1)
LASTING = replace(
    closed(episode(-500, asset="b")), closed_at=INSIDE.raised_at + timedelta(minutes=1)
)
STILL = episode(-400, asset="c")
ANCIENT = replace(closed(episode(-90_000, asset="d")), closed_at=LASTING.closed_at)
ANCIENT_OPEN = episode(-95_000, asset="e")
UNSEEN = [closed(episode(m, asset=f"oven-{m}")) for m in (3, 2, 1)]
SEEN = ActorStamp("ann", at(9))
MEETING = [over(20, 30), over(40, 50), episode(60)]
CLAIMS = {
    "an episode comes back equal": [
        *(
            taken
            for one in (SECOND, full_episode(), refreshed())
            for taken in (*insert(one), step("episodes.get", one.id, gives=one))
        ),
        step("episodes.get", "nothing", gives=None),
    ],
    "an id is inserted once": [
        *insert(A),
        step("episodes.insert", replace(A, title="another"), gives=False),
        step("episodes.get", A.id, gives=A),
    ],
    "only one is open per definition and asset": [
        *insert(FIRST),
        step("episodes.insert", episode(10), gives=False),
        *insert(episode(10, asset="oven-2"), episode(10, definition="too-moist")),
        *insert(closed(episode(20))),
    ],
    "a unit of work writes new episodes and next versions, and closes before it opens": [
        unit_step("episodes.write", [FIRST, SECOND]),
        unit_step(
            "episodes.write",
            [B, closed(following(FIRST)), following(SECOND, severity="low")],
        ),
        find(B, closed(following(FIRST)), asset="oven-1"),
        find(following(SECOND, severity="low"), asset="oven-2"),
    ],
    **{
        f"a unit of work is a conflict for {what}": [
            unit_step("episodes.write", [FIRST]),
            unit_step("episodes.write", [SECOND, refused], gives=Conflict),
            find(FIRST),
        ]
        for what, refused in REFUSED.items()
    },
    "reopening while another is open is refused": [
        *insert(A, B),
        unit_step("episodes.write", [following(FIRST)], gives=Conflict),
        step("episodes.get", A.id, gives=A),
    ],
    "episodes are found newest first by what is asked": [
        *insert(C, A, D, B),
        find(D, C, B, A),
        find(C, B, A, definition="too-hot"),
        find(B, A, definition="too-hot", asset="oven-1"),
        find(C, asset="oven-2"),
        find(B, open_only=True),
        find(C, B, start=at(10), end=at(30)),
        find(C, B, start=at(10), end=at(30), with_earlier=True),
        find(B, start=at(15), end=at(20), with_earlier=True),
        find(B, start=A.closed_at, end=at(20), with_earlier=True),
        find(A, start=JUST_BEFORE, end=at(10), with_earlier=True),
        find(B, A, end=at(20), with_earlier=True),
        find(B, start=at(40), open_only=True, with_earlier=True),
        find(D, start=at(0), limit=1, before=None, with_earlier=True),
        find(C, start=at(0), limit=1, before=(at(30), D.id), with_earlier=True),
        find(D, C, limit=2),
        find(D, B, limit=2, assets={"oven-1", "oven-9"}),
        find(A, assets={"oven-1"}, before=(B.raised_at, B.id)),
        find(asset="oven-2", assets={"oven-1"}),
        find(assets=()),
        step("episodes.starting_with", "", {"oven-2"}, gives=[C]),
        step("episodes.alarms", at(0), at(60), at(0), {"oven-2"}, gives=each(id=[C.id])),
        step("episodes.alarms", at(0), at(60), definitions={"too-moist"}, gives=each(id=[D.id])),
    ],
    "those to settle are the due ones, oldest first": [
        *insert(LATE, EARLY, closed(episode(30), outcome_due_at=at(61)), A),
        step("episodes.with_due_outcomes", at(60), gives=[EARLY, LATE]),
    ],
    "extracts are of the episodes raised in the period and of older ones that went on": [
        *insert(INSIDE, closed(episode(-600, asset="a")), LASTING, STILL, ANCIENT, ANCIENT_OPEN),
        step("episodes.alarms", INSIDE.raised_at, AFTER, gives=[alarm_of(INSIDE)]),
        step(
            "episodes.alarms",
            INSIDE.raised_at,
            AFTER,
            at(-1000),
            gives=[alarm_of(one) for one in (ANCIENT_OPEN, LASTING, STILL, INSIDE)],
        ),
    ],
    "what is over and not acknowledged is found newest first": [
        *insert(*reversed(UNSEEN), episode(4, asset="oven-4")),
        *insert(closed(episode(5, asset="oven-5"), acknowledged=SEEN)),
        *insert(closed(episode(6, asset="oven-6"), backfilled=True)),
        *insert(closed(episode(7, asset="oven-7"), withdrawn=True)),
        step("episodes.over_unacknowledged", 10, gives=UNSEEN),
        step("episodes.over_unacknowledged", 2, gives=UNSEEN[:2]),
        step("episodes.over_unacknowledged", 2, {"oven-1", "oven-2", "oven-4"}, gives=UNSEEN[1:]),
    ],
    "overlapping episodes are those of one target that meet an interval": [
        *insert(over(0, 10), *MEETING, over(25, 35, asset="oven-2")),
        *insert(over(26, 36, definition="other")),
        *(
            step("episodes.overlapping", "too-hot", "oven-1", at(start), at(end), gives=gives)
            for start, end, gives in (
                (10, 20, MEETING[:1]),
                (29, 40, [MEETING[1], MEETING[0]]),
                (51, 59, []),
                (70, 80, MEETING[2:]),
            )
        ),
    ],
}


def test_the_stores_of_episodes_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


def test_pages_follow_each_other_without_gap_or_repetition(stores):
    everything = [
        closed(episode(minute, asset=f"oven-{number}"))
        for minute in (0, 1, 2)
        for number in range(5)
    ]
    for one in everything:
        stores.episodes.insert(one)
    pages = []
    before = None
    while page := stores.episodes.find(limit=4, before=before):
        pages.append(page)
        before = (page[-1].raised_at, page[-1].id)
    assert [len(page) for page in pages] == [4, 4, 4, 3]
    assert [one for page in pages for one in page] == sorted(
        everything, key=lambda e: (e.raised_at, e.id), reverse=True
    )


QUERIES = {
    "newest": {"limit": 50},
    "next page": {"limit": 50, "before": (at(50_000), "f" * 24)},
    "of a definition": {"definition": "d-3", "limit": 50},
    "of a definition and asset": {"definition": "d-3", "asset": "a-3", "limit": 50},
    "of an asset in a week": {"asset": "a-7", "start": at(20_000), "end": at(30_000)},
    "open ones": {"open_only": True},
    "of the assets of a scope": {"assets": ["a-3", "a-7"], "limit": 50},
}


@pytest.fixture(scope="module")
def many(real_server):
    template = _episode_document(closed(full_episode(), outcome_due_at=None))
    with open_stores(real_server, "many", prepare=True) as stores:
        documents = (
            template
            | {
                "_id": f"{number:024x}",
                "raised_at": at(50 * number),
                "definition": f"d-{number % 10}",
                "asset": f"a-{number % 10}",
            }
            for number in range(2000)
        )
        stores.database["episodes"].insert_many(documents, ordered=False)
        for minute in (200_000, 200_001):
            stores.episodes.insert(episode(minute, asset=f"open-{minute}", outcome_due_at=at(0)))
        yield stores


def examined(stores, ask):
    """Return what was found, and how many documents the server looked at for it."""
    database = stores.database
    database.command("profile", 2)
    found = ask()
    database.command("profile", 0)
    asked = {"ns": f"{database.name}.episodes", "op": "query"}
    entry = next(database["system.profile"].find(asked).sort("ts", -1).limit(1))
    assert not entry.get("hasSortStage") or entry["docsExamined"] < 20
    return found, entry["docsExamined"]


def test_among_many_only_what_is_returned_is_looked_at(many):
    asked = {
        what: examined(many, partial(many.episodes.find, **query))
        for what, query in QUERIES.items()
    }
    too_many = {what for what, (found, count) in asked.items() if count > len(found) + 1}
    assert (too_many, {what for what, (found, _) in asked.items() if not found}) == (set(), set())
    found, count = examined(many, lambda: many.episodes.with_due_outcomes(at(0)))
    assert (len(found), count <= 2) == (2, True)


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
