"""Alarms and tiles on the pages of a wall."""

import pytest

from alerting.operators.causes import Cause
from alerting.operators.silences import SilenceMark
from alerting.operators.tiles import PartTiles, Tile
from alerting.operators.wall import CARDS, MOST_PAGES, TILES_ALONE, make_wall
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast


def causes(count):
    return [Cause(episode(minute, asset=f"press-{minute}")) for minute in range(count)]


def tiles(state, count):
    return [Tile(f"{state}-{n}", f"{state} {n}", state) for n in range(count)]


def parts_of(*tiles, normal=0):
    return [PartTiles("line-1", "Line 1", tiles, normal), PartTiles("line-2", "Line 2", ())]


def test_few_alarms_stand_on_one_page_with_normal_assets_where_there_is_room():
    found = causes(CARDS)
    wall = make_wall(found, parts_of(*tiles("happening", 3), *tiles("normal", 50), normal=7))
    (page,) = wall.pages
    assert page.causes == tuple(found)
    assert [tile.state for tile in page.tiles] == ["happening"] * 3 + ["normal"]
    assert (wall.more, wall.normal) == (0, 57)


def test_of_many_alarms_the_most_urgent_is_on_every_page_and_each_other_on_one():
    first, *others = found = causes(11)
    wall = make_wall(found, parts_of(*tiles("happening", 11)))
    assert all(page.causes[0] == first for page in wall.pages)
    assert all(len(page.causes) <= CARDS for page in wall.pages)
    shown = [cause for page in wall.pages for cause in page.causes[1:]]
    assert shown == others
    assert wall.more == 0
    assert {t.asset for page in wall.pages for t in page.tiles} >= {
        f"happening-{n}" for n in range(11)
    }


def test_without_an_alarm_every_asset_has_its_turn_and_what_is_not_normal_comes_first():
    assets = [*tiles("not evaluated", 2), *tiles("normal", 45)]
    wall = make_wall([], parts_of(*assets))
    assert [tile for page in wall.pages for tile in page.tiles] == assets
    assert all(0 < len(page.tiles) <= TILES_ALONE for page in wall.pages)


def test_where_only_some_normal_assets_have_room_the_silenced_ones_come_first():
    silenced = Tile("a-9", "A 9", "normal", silenced=SilenceMark("silence", is_whole=True))
    (page,) = make_wall(causes(1), parts_of(*tiles("normal", 50), silenced)).pages
    assert page.tiles[0] == silenced


def test_what_is_worst_comes_first_from_whichever_part_it_is():
    one = PartTiles("a", "A", tiles("happening", 1) + tiles("over", 9))
    other = PartTiles("b", "B", tiles("expected", 2))
    first = make_wall(causes(1), [one, other]).pages[0]
    assert [tile.state for tile in first.tiles] == ["happening", "expected", "expected", "over"]


def test_pages_have_an_end_and_say_how_many_alarms_are_on_none():
    found = causes(100)
    wall = make_wall(found, [])
    shown = {cause.first.id for page in wall.pages for cause in page.causes}
    assert len(wall.pages) == MOST_PAGES
    assert wall.more == 100 - len(shown) > 0


def test_a_plant_without_anything_has_one_empty_page():
    (page,) = make_wall([], []).pages
    assert page.causes == page.tiles == ()
