import pytest

from alerting.definitions.asset_documents import Asset
from alerting.operators.actions_and_mutes import MuteMark
from alerting.operators.alarm_views import (
    find_parts,
    join_lone_parts,
    make_tiles,
)
from tests.builders import at
from tests.helpers.episodes import closed, episode

pytestmark = pytest.mark.fast


def plant(*names, parent="line-1"):
    made = {name: Asset(name=name, parent=parent) for name in names}
    return {"line-1": Asset(name="line-1", title="Line 1"), **made}


def tiles_of(assets, still_open=(), over=(), unknown=None, watched=None):
    watched = watched if watched is not None else dict.fromkeys(assets, 1)
    found = make_tiles(
        assets, find_parts(assets), watched, list(still_open), list(over), unknown or {}
    )
    return {tile.asset: tile for part in found for tile in part.tiles}


PREDICTED = {"is_prediction": True, "valid_until": at(30)}


def test_each_state_of_an_asset_has_a_tile_and_the_worst_comes_first():
    assets = plant("a", "b", "c", "d", "e", "f", "g")
    found = tiles_of(
        assets,
        [
            episode(1, asset="a", severity="low"),
            episode(1, asset="b", severity="critical", **PREDICTED),
            episode(1, asset="e", muted_by="mute"),
        ],
        [closed(episode(1, asset="d"))],
        {"c": 2},
        {**dict.fromkeys(assets, 1), "c": 2, "g": 0},
    )
    assert [(t.asset, t.state) for t in found.values()] == [
        ("a", "happening"),
        ("b", "expected"),
        ("c", "not evaluated"),
        ("d", "over"),
        ("e", "muted"),
        ("line-1", "normal"),
        ("f", "normal"),
    ]
    assert found["c"].unknown == 2
    assert not found["c"].is_evaluated_in_part


def test_of_an_asset_some_of_whose_definitions_are_evaluated_the_others_are_counted():
    tile = tiles_of(plant("a"), unknown={"a": 1}, watched={"a": 3})["a"]
    assert (tile.state, tile.unknown, tile.definitions) == ("not evaluated", 1, 3)
    assert tile.is_evaluated_in_part


def test_a_tile_leads_to_the_worst_of_its_alarms_and_counts_them():
    mild = episode(1, asset="a", severity="low")
    bad = episode(2, "other", "a", severity="high")
    tile = tiles_of(plant("a"), [mild, bad])["a"]
    assert (tile.severity, tile.alarms, tile.episode) == ("high", 2, bad.id)


def test_of_many_normal_assets_the_number_is_shown():
    assets = plant(*(f"a-{n}" for n in range(100)))
    all_watched = assets, find_parts(assets), dict.fromkeys(assets, 1)
    [part] = make_tiles(*all_watched, [episode(1, asset="a-7")], [], {})
    assert [tile.asset for tile in part.tiles] == ["a-7"]
    assert part.normal == 100  # 99, and the line


@pytest.mark.parametrize("of_all", [False, True])
def test_muted_assets_are_marked_and_shown_unless_all_of_their_part_is_muted(of_all):
    assets = plant(*(f"a-{n}" for n in range(100)))
    mark = MuteMark("maintenance", is_whole=True)
    muted = dict.fromkeys(assets, mark) if of_all else {"a-7": mark, "a-8": mark}
    all_watched = assets, find_parts(assets), dict.fromkeys(assets, 1)
    [part] = make_tiles(*all_watched, [episode(1, asset="a-7")], [], {}, muted)
    shown = {tile.asset: (tile.state, tile.muted) for tile in part.tiles}
    both = {"a-7": ("happening", mark), "a-8": ("normal", mark)}
    assert shown == ({"a-7": both["a-7"]} if of_all else both)
    assert part.muted == (mark if of_all else None)


def test_the_parts_of_a_plant_are_below_its_one_topmost_asset():
    assets = {
        "plant": Asset(name="plant", title="Plant"),
        "line-1": Asset(name="line-1", title="Line 1", parent="plant"),
        "line-2": Asset(name="line-2", title="Line 2", parent="plant"),
        "oven": Asset(name="oven", title="Oven", parent="line-1"),
        "fan": Asset(name="fan", title="Fan", parent="oven"),
        "mixer": Asset(name="mixer", title="Mixer", parent="line-2"),
    }
    assert find_parts(assets) == {
        "plant": "plant",
        "line-1": "line-1",
        "line-2": "line-2",
        "oven": "line-1",
        "fan": "line-1",
        "mixer": "line-2",
    }


def test_assets_that_are_a_part_by_themselves_are_drawn_together():
    names = ("alone-1", "alone-2", "line-1", "oven", "fan", "idle", "alone-3")
    above = {"oven": "line-1", "fan": "line-1"}
    assets = {name: Asset(name=name, parent=above.get(name)) for name in names}
    counts = dict.fromkeys({*assets} - {"idle"}, 1)
    parts = make_tiles(assets, find_parts(assets), counts, [episode(1, asset="oven")], [], {})
    drawn = [(part.title, [t.asset for t in part.tiles]) for part in join_lone_parts(parts)]
    assert drawn == [
        ("line-1", ["oven", "fan", "line-1"]),
        ("", ["alone-1", "alone-2", "alone-3"]),
        ("idle", []),
    ]


def test_assets_that_name_each_other_as_parent_end():
    ring = {
        "a": Asset(name="a", title="A", parent="b"),
        "b": Asset(name="b", title="B", parent="a"),
    }
    assert find_parts(ring).keys() == {"a", "b"}
