"""Port `Episodes`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.episodes.episode import (
    ActorStamp,
    Alternative,
    Change,
    EarlierAdvice,
    Episode,
    LeverReport,
    PresentAdvice,
    RecommendationResult,
)
from alerting.episodes.extract import alarm_of
from alerting.ports import Conflict
from tests.builders import at
from tests.helpers.episodes import closed, episode, full_episode


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


def test_an_episode_comes_back_equal(stores):
    for one in (episode(asset="oven-2"), full_episode(), refreshed()):
        assert stores.episodes.insert(one)
        assert stores.episodes.get(one.id) == one
    assert stores.episodes.get("nothing") is None


def test_an_id_is_inserted_once(stores):
    assert stores.episodes.insert(closed(episode()))
    assert not stores.episodes.insert(closed(episode(), title="another"))
    assert stores.episodes.get(episode().id).title == "Too hot"


def test_only_one_is_open_per_definition_and_asset(stores):
    assert stores.episodes.insert(episode(0))
    assert not stores.episodes.insert(episode(10))
    assert stores.episodes.insert(episode(10, asset="oven-2"))
    assert stores.episodes.insert(episode(10, definition="too-moist"))
    assert stores.episodes.insert(closed(episode(20)))


def write(stores, *episodes):
    with stores.unit_of_work.begin() as unit:
        stores.episodes.write(episodes, unit)


def test_a_unit_of_work_writes_new_episodes_and_next_versions_and_closes_before_it_opens(stores):
    write(stores, episode(0), episode(0, asset="oven-2"))
    write(
        stores,
        episode(10),
        closed(following(episode(0))),
        following(episode(0, asset="oven-2"), severity="low"),
    )
    found = {
        (e.asset, e.raised_at, e.condition, e.version, e.severity) for e in stores.episodes.find()
    }
    assert found == {
        ("oven-1", at(0), "closed", 2, episode(0).severity),
        ("oven-1", at(10), "open", 1, episode(0).severity),
        ("oven-2", at(0), "open", 2, "low"),
    }


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(closed(episode(0, title="another")), id="an-id-that-is-stored"),
        pytest.param(episode(20), id="a-second-open-one"),
        pytest.param(following(following(episode(0))), id="a-version-too-far"),
        pytest.param(following(episode(30)), id="the-next-version-of-nothing"),
    ],
)
def test_a_unit_of_work_with_one_lost_compare_and_set_is_a_conflict(stores, refused):
    write(stores, episode(0))
    with pytest.raises(Conflict):
        write(stores, episode(0, asset="oven-2"), refused)
    assert stores.episodes.get(episode(0).id) == episode(0)
    assert [e.asset for e in stores.episodes.find(asset="oven-1")] == ["oven-1"]


def replaced(stores, one):
    """Write the next version of an episode; return False if it was refused."""
    try:
        with stores.unit_of_work.begin() as unit:
            stores.episodes.write([one], unit)
    except Conflict:
        return False
    return True


def test_reopening_while_another_is_open_is_refused(stores):
    stores.episodes.insert(closed(episode(0)))
    stores.episodes.insert(episode(10))
    assert not replaced(stores, following(episode(0)))
    assert stores.episodes.get(episode(0).id).condition == "closed"


def test_episodes_are_found_newest_first_by_what_is_asked(stores):
    a = closed(episode(0))
    b = episode(10)
    c = closed(episode(20, asset="oven-2"))
    d = closed(episode(30, definition="too-moist"))
    for one in (c, a, d, b):
        stores.episodes.insert(one)
    find = stores.episodes.find
    assert find() == [d, c, b, a]
    assert find(definition="too-hot") == [c, b, a]
    assert find(definition="too-hot", asset="oven-1") == [b, a]
    assert find(asset="oven-2") == [c]
    assert find(open_only=True) == [b]
    assert find(start=at(10), end=at(30)) == [c, b]
    assert find(start=at(10), end=at(30), with_earlier=True) == [c, b]
    assert find(start=at(15), end=at(20), with_earlier=True) == [b]
    assert find(start=a.closed_at, end=at(20), with_earlier=True) == [b]
    just_before = a.closed_at - timedelta(milliseconds=1)
    assert find(start=just_before, end=at(10), with_earlier=True) == [a]
    assert find(end=at(20), with_earlier=True) == [b, a]
    assert find(start=at(40), open_only=True, with_earlier=True) == [b]
    pages = [
        find(start=at(0), limit=1, before=x, with_earlier=True) for x in (None, (at(30), d.id))
    ]
    assert pages == [[d], [c]]
    assert find(limit=2) == [d, c]
    assert find(limit=2, assets={"oven-1", "oven-9"}) == [d, b]
    assert find(assets={"oven-1"}, before=(b.raised_at, b.id)) == [a]
    assert find(asset="oven-2", assets={"oven-1"}) == find(assets=()) == []
    assert {e.id for e in stores.episodes.starting_with("", {"oven-2"})} == {c.id}
    assert [e.id for e in stores.episodes.alarms(at(0), at(60), at(0), {"oven-2"})] == [c.id]
    of_definition = stores.episodes.alarms(at(0), at(60), definitions={d.definition})
    assert [e.id for e in of_definition] == [d.id]


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


def test_those_to_settle_are_the_due_ones_oldest_first(stores):
    late = closed(episode(20), outcome_due_at=at(60))
    early = closed(episode(10), outcome_due_at=at(59))
    undue = closed(episode(30), outcome_due_at=at(61))
    never = closed(episode(0))
    for one in (late, early, undue, never):
        stores.episodes.insert(one)
    assert stores.episodes.with_due_outcomes(at(60)) == [early, late]


QUERIES = {
    "newest": {"limit": 50},
    "next page": {"limit": 50, "before": (at(50_000), "f" * 24)},
    "of a definition": {"definition": "d-3", "limit": 50},
    "of a definition and asset": {"definition": "d-3", "asset": "a-3", "limit": 50},
    "of an asset in a week": {"asset": "a-7", "start": at(20_000), "end": at(30_000)},
    "open ones": {"open_only": True},
    "of the assets of a scope": {"assets": ["a-3", "a-7"], "limit": 50},
}


def test_extracts_are_those_of_the_episodes_raised_in_the_period_and_of_older_ones_that_went_on(
    stores,
):
    inside = full_episode()
    before = closed(episode(-600, asset="a"))
    lasting = replace(
        closed(episode(-500, asset="b")), closed_at=inside.raised_at + timedelta(minutes=1)
    )
    still = episode(-400, asset="c")
    ancient = replace(closed(episode(-90_000, asset="d")), closed_at=lasting.closed_at)
    ancient_open = episode(-95_000, asset="e")
    for one in (inside, before, lasting, still, ancient, ancient_open):
        assert stores.episodes.insert(one)
    start = inside.raised_at
    end = inside.raised_at + timedelta(seconds=1)
    assert stores.episodes.alarms(start, end) == [alarm_of(inside)]
    found = stores.episodes.alarms(start, end, at(-1000))
    assert found == [alarm_of(e) for e in (ancient_open, lasting, still, inside)]


@pytest.fixture(scope="module")
def many(real_server):
    from alerting.adapters.mongo.episodes.episodes import _document
    from alerting.adapters.mongo.mongo import open_stores

    template = _document(closed(full_episode(), outcome_due_at=None))
    with open_stores(real_server, "many", prepare=True) as stores:
        documents = (
            template
            | {
                "_id": f"{number:024x}",
                "raised_at": at(number),
                "definition": f"d-{number % 10}",
                "asset": f"a-{number % 10}",
            }
            for number in range(100_000)
        )
        stores.database["episodes"].insert_many(documents, ordered=False)
        for minute in (200_000, 200_001):
            stores.episodes.insert(episode(minute, asset=f"open-{minute}", outcome_due_at=at(0)))
        yield stores


def _examined(stores, ask) -> int:
    """Documents that the server looked at for a call."""
    database = stores.database
    database.command("profile", 2)
    try:
        ask()
    finally:
        database.command("profile", 0)
    entry = (
        database["system.profile"]
        .find({"ns": f"{database.name}.episodes", "op": "query"})
        .sort("ts", -1)
        .limit(1)
        .next()
    )
    assert not entry.get("hasSortStage") or entry["docsExamined"] < 1000
    return entry["docsExamined"]


@pytest.mark.server
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_among_a_hundred_thousand_only_what_is_returned_is_looked_at(many, query):
    found = many.episodes.find(**query)
    assert found
    assert _examined(many, lambda: many.episodes.find(**query)) <= len(found) + 1


@pytest.mark.server
def test_among_a_hundred_thousand_the_work_to_do_is_found_by_index(many):
    assert len(many.episodes.with_due_outcomes(at(0))) == 2
    assert _examined(many, lambda: many.episodes.with_due_outcomes(at(0))) <= 2


def test_what_is_over_and_not_acknowledged_is_found_newest_first(stores):
    seen = ActorStamp("ann", at(9))
    kept = [closed(episode(m, asset=f"oven-{m}")) for m in (1, 2, 3)]
    others = [
        episode(4, asset="oven-4"),
        closed(episode(5, asset="oven-5"), acknowledged=seen),
        closed(episode(6, asset="oven-6"), backfilled=True),
        closed(episode(7, asset="oven-7"), withdrawn=True),
    ]
    for one in (*kept, *others):
        assert stores.episodes.insert(one)
    assert [e.id for e in stores.episodes.over_unacknowledged(10)] == [e.id for e in reversed(kept)]
    assert len(stores.episodes.over_unacknowledged(2)) == 2
    of_two = stores.episodes.over_unacknowledged(2, {"oven-1", "oven-2", "oven-4"})
    assert [e.id for e in of_two] == [kept[1].id, kept[0].id]


def test_overlapping_episodes_are_those_of_one_target_that_meet_an_interval(stores):
    def over(raised, until, **changes):
        return replace(episode(raised, **changes), condition="closed", closed_at=at(until))

    for one in (
        over(0, 10),
        over(20, 30),
        over(40, 50),
        over(25, 35, asset="oven-2"),
        over(26, 36, definition="other"),
        episode(60),
    ):
        assert stores.episodes.insert(one)

    def found(start, end):
        return [
            e.raised_at
            for e in stores.episodes.overlapping("too-hot", "oven-1", at(start), at(end))
        ]

    assert found(10, 20) == [at(20)]
    assert found(29, 40) == [at(40), at(20)]
    assert found(51, 59) == []
    assert found(70, 80) == [at(60)]
