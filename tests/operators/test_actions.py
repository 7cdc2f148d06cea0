from dataclasses import asdict, astuple, replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest

from alerting.definitions.faults import UserError
from alerting.episodes.first_out import first_out
from alerting.notifications.notification import Notification
from alerting.notifications.policy import is_muted_with
from alerting.operators.actions import (
    FLAGS,
    LONGEST_SHELF,
    ROLES,
    RULES,
    Flags,
    NotAllowed,
    isa_state,
    move,
    permit,
    refusal,
)
from alerting.operators.shelves import check_shelf, current_flags, find_muting_shelf, new_shelf
from tests.builders import at
from tests.helpers.episodes import closed, episode
from tests.helpers.refusals import lacking, refusal_of
from tools.pages.alarm_life_cycle import life_cycle_page

pytestmark = pytest.mark.fast

STATES = [Flags(*values) for values in product((False, True), repeat=5)]
ACTIONS = [rule.action for rule in RULES]
PAGE = Path(__file__).parents[2] / "docs" / "alarm-life-cycle.md"

# The table once more, as sentences of the standard say it and independent of how it is written
# there:
# action -> (flags as a, k, s, o, d) -> flags after, or None where it is refused.
EXPECTED = {
    "raise": lambda a, k, s, o, d: None if a else (True, False, s, o, d),
    "clear": lambda a, k, s, o, d: (False, k, s, o, d) if a else None,
    "close": lambda a, k, s, o, d: (False, k, s, o, d) if a else None,
    "acknowledge": lambda a, k, s, o, d: (a, True, s, o, d),
    "confirm": lambda a, k, s, o, d: (a, True, s, o, d),
    "comment": lambda a, k, s, o, d: (a, k, s, o, d),
    "assign": lambda a, k, s, o, d: (a, k, s, o, d),
    "shelve": lambda a, k, s, o, d: None if o else (a, k, True, o, d),
    "unshelve": lambda a, k, s, o, d: (a, k, False, o, d) if s else None,
    "shelf_ends": lambda a, k, s, o, d: (a, k, False, o, d) if s else None,
    "take_out_of_service": lambda a, k, s, o, d: None if o else (a, k, s, True, d),
    "return_to_service": lambda a, k, s, o, d: (a, k, s, False, d) if o else None,
    "suppress": lambda a, k, s, o, d: None if d else (a, k, s, o, True),
    "suppression_ends": lambda a, k, s, o, d: (a, k, s, o, False) if d else None,
}


def after(state, action):
    """Return the flags after an action, None where it is refused by its name."""
    if refusal(state, action) is None:
        return astuple(move(state, action))
    with pytest.raises(UserError, match=action.replace("_", " ")):
        move(state, action)
    return None


def test_every_action_in_every_state_does_what_the_table_says_or_is_refused():
    cases = list(product(ACTIONS, STATES))
    expected = {(action, state): EXPECTED[action](*astuple(state)) for action, state in cases}
    assert {(action, state): after(state, action) for action, state in cases} == expected
    assert tuple(asdict(Flags())) == FLAGS


def test_the_name_follows_from_the_flags():
    assert {name: isa_state(flags) for name, flags in NAMED} == {name: name for name, _ in NAMED}


NAMED = [
    ("normal", Flags()),
    ("unacknowledged", Flags(active=True, acknowledged=False)),
    ("acknowledged", Flags(active=True)),
    ("returned unacknowledged", Flags(acknowledged=False)),
    ("shelved", Flags(active=True, shelved=True, suppressed=True)),
    ("suppressed by design", Flags(active=True, acknowledged=False, suppressed=True)),
    ("out of service", Flags(True, False, True, True, True)),
]
BY = {
    "operator": ("close", "acknowledge", "confirm", "comment", "assign", "shelve", "unshelve"),
    "engineer": ("take_out_of_service", "return_to_service"),
}


def test_only_a_large_enough_role_may_act_and_nobody_may_act_for_the_platform():
    least = {action: role for role, actions in BY.items() for action in actions}
    allowed = {action: ROLES[ROLES.index(least[action]) :] for action in least}
    found = {
        action: tuple(role for role in ROLES if not refusal_of(permit, action, role))
        for action in ACTIONS
    }
    assert found == dict.fromkeys(ACTIONS, ()) | allowed
    with pytest.raises(NotAllowed, match="of the platform itself, not admin"):
        permit("raise", "admin")


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == life_cycle_page(), "run: make docs"


# --- shelves
# --------------------------------------------------------------------------------------------------


def shelf(start=0, end=60, kind="shelved", **changes):
    until = None if end is None else at(end)
    return replace(
        new_shelf("too-hot", "oven-1", kind, at(start), until, "cleaning", "ann", 0), **changes
    )


def test_each_role_has_a_longest_shelf_to_the_second():
    found = {
        role: [
            refusal_of(check_shelf, role, at(0), at(0) + longest + more, "cleaning", "shelved")
            for more in (timedelta(0), timedelta(seconds=1))
        ]
        for role, longest in LONGEST_SHELF.items()
        if longest
    }
    assert {role: (fits, "at most" in over) for role, (fits, over) in found.items()} == (
        dict.fromkeys(("operator", "engineer", "admin"), ("", True))
    )


def test_a_shelf_without_end_or_reason_or_with_an_end_behind_us_is_refused():
    refused = {
        (None, "cleaning"): "an end is required",
        (at(5), " "): "a reason is required",
        (at(0), "cleaning"): "not after now",
    }
    found = {case: refusal_of(check_shelf, "admin", at(0), *case, "shelved") for case in refused}
    assert lacking(found, refused) == {}


def test_a_shelf_mutes_until_its_end_and_nobody_must_end_it():
    assert [shelf(10, 20).mutes(at(m)) for m in (9, 10, 19.99, 20, 500)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert not shelf(ended_at=at(5)).mutes(at(6))
    assert shelf(end=None, kind="out_of_service").mutes(at(1e6))


def test_of_two_shelves_the_one_that_lasts_longest_is_named():
    short = shelf(0, 60)
    long = shelf(0, 90)
    endless = shelf(0, None, "out_of_service")
    assert find_muting_shelf([short, long], at(5)) == long
    assert find_muting_shelf([short, endless, long], at(5)) == endless
    assert find_muting_shelf([short, long], at(70)) == long
    assert find_muting_shelf([short, long], at(95)) is None


def test_the_reminder_comes_a_quarter_of_an_hour_before_the_end_or_a_quarter_of_its_time():
    assert shelf(0, 480).remind_at == at(465)
    assert shelf(0, 20).remind_at == at(15)
    assert shelf(0, None, "out_of_service").remind_at is None


def test_flags_come_from_the_newest_episode_and_from_what_mutes_now():
    one = episode(0)
    assert current_flags(None, [], at(0), False) == Flags()
    assert current_flags(one, [shelf(0, 60)], at(5), False) == Flags(True, False, True, False)
    assert current_flags(one, [shelf(0, 60)], at(60), False) == Flags(True, False, False, False)
    assert current_flags(closed(one), [shelf(0, None, "out_of_service")], at(5), False) == Flags(
        False, False, False, True
    )
    assert current_flags(closed(one, backfilled=True), [], at(5), False) == Flags()
    assert current_flags(one, [], at(5), True) == Flags(True, False, suppressed=True)


def test_what_waits_is_muted_and_an_end_is_told_only_where_the_raise_was():
    def notice(channel, kind, status):
        return Notification(f"e:{kind}:{channel}", channel, kind, "", at(0), at(0), status)

    notifications = (
        notice("mail", "raised", "sent"),
        notice("mail", "closed", "pending"),
        notice("pager", "raised", "pending"),
        notice("pager", "closed", "pending"),
    )
    waiting = [n for n in notifications if n.is_waiting]
    assert [(n.channel, is_muted_with(n, notifications)) for n in waiting] == [
        ("mail", False),
        ("pager", True),
        ("pager", True),
    ]


# --- first-out
# --------------------------------------------------------------------------------------------------


def test_the_first_of_alarms_that_rise_together_is_marked():
    a = episode(0)
    b = episode(0.5, "too-moist")
    c = episode(1.4, "too-dry")
    alone = episode(10)
    elsewhere = episode(0.1, "too-moist", "oven-2")
    together = [a, b, c, alone, elsewhere]
    assert [first_out(e, together) for e in together] == ["first", "later", "later", None, None]
