"""Alarms and tiles on the pages of a wall."""

import pytest

from alerting.operators.causes import Cause
from alerting.operators.tiles import Tile
from alerting.operators.wall import CARDS, MOST_PAGES, TILES_ALONE, make_wall
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast


def causes(count):
    return [Cause(episode(minute, asset=f"press-{minute}")) for minute in range(count)]


def tiles(state, count):
    return [Tile(f"{state}-{n}", f"{state} {n}", state) for n in range(count)]


def test_few_alarms_stand_on_one_page_with_normal_assets_where_there_is_room():
    found = causes(CARDS)
    wall = make_wall(found, [*tiles("happening", 3), *tiles("normal", 50)])
    (page,) = wall.pages
    assert page.causes == tuple(found)
    assert [tile.state for tile in page.tiles] == ["happening"] * 3 + ["normal"]
    assert (wall.more, wall.normal) == (0, 50)


def test_of_many_alarms_the_most_urgent_is_on_every_page_and_each_other_on_one():
    first, *others = found = causes(11)
    wall = make_wall(found, tiles("happening", 11))
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
    wall = make_wall([], assets)
    assert [tile for page in wall.pages for tile in page.tiles] == assets
    assert all(0 < len(page.tiles) <= TILES_ALONE for page in wall.pages)


def test_pages_have_an_end_and_say_how_many_alarms_are_on_none():
    found = causes(100)
    wall = make_wall(found, [])
    shown = {cause.first.id for page in wall.pages for cause in page.causes}
    assert len(wall.pages) == MOST_PAGES
    assert wall.more == 100 - len(shown) > 0


def test_a_plant_without_anything_has_one_empty_page():
    (page,) = make_wall([], []).pages
    assert page.causes == page.tiles == ()
