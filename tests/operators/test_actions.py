from dataclasses import replace
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


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_in_every_state_does_what_the_table_says_or_is_refused(action):
    for state in STATES:
        expected = EXPECTED[action](*(getattr(state, flag) for flag in FLAGS))
        if expected is None:
            assert refusal(state, action), state
            with pytest.raises(UserError, match=action.replace("_", " ")):
                move(state, action)
        else:
            assert refusal(state, action) is None, state
            assert move(state, action) == Flags(*expected), state


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (Flags(), "normal"),
        (Flags(active=True, acknowledged=False), "unacknowledged"),
        (Flags(active=True), "acknowledged"),
        (Flags(acknowledged=False), "returned unacknowledged"),
        (Flags(active=True, shelved=True), "shelved"),
        (Flags(active=True, acknowledged=False, suppressed=True), "suppressed by design"),
        (Flags(shelved=True, suppressed=True), "shelved"),
        (
            Flags(
                active=True, acknowledged=False, shelved=True, out_of_service=True, suppressed=True
            ),
            "out of service",
        ),
    ],
)
def test_the_name_follows_from_the_flags(flags, name):
    assert isa_state(flags) == name


@pytest.mark.parametrize(("action", "role"), list(product(ACTIONS, ROLES)))
def test_only_a_large_enough_role_may_act_and_nobody_may_act_for_the_platform(action, role):
    least = next(rule.by for rule in RULES if rule.action == action)
    if least is not None and ROLES.index(role) >= ROLES.index(least):
        permit(action, role)
    else:
        with pytest.raises(NotAllowed):
            permit(action, role)


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == life_cycle_page(), "run: make docs"


# --- shelves
# --------------------------------------------------------------------------------------------------


def shelf(start=0, end=60, kind="shelved", **changes):
    until = None if end is None else at(end)
    return replace(
        new_shelf("too-hot", "oven-1", kind, at(start), until, "cleaning", "ann", 0), **changes
    )


@pytest.mark.parametrize("role", [role for role in ROLES if role not in ("sender", "viewer")])
def test_each_role_has_a_longest_shelf_to_the_second(role):
    longest = LONGEST_SHELF[role]
    check_shelf(role, at(0), at(0) + longest, "cleaning", "shelved")
    with pytest.raises(NotAllowed, match="at most"):
        check_shelf(role, at(0), at(0) + longest + timedelta(seconds=1), "cleaning", "shelved")


@pytest.mark.parametrize(
    ("until", "reason", "words"),
    [
        (None, "cleaning", "an end is required"),
        (at(5), " ", "a reason is required"),
        (at(0), "cleaning", "not after now"),
    ],
)
def test_a_shelf_without_end_or_reason_or_with_an_end_behind_us_is_refused(until, reason, words):
    with pytest.raises(UserError, match=words):
        check_shelf("admin", at(0), until, reason, "shelved")


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
