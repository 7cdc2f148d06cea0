from dataclasses import asdict, astuple
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from alerting.definitions.faults import UserError
from alerting.episodes.episode import first_out
from alerting.operators.actions_and_mutes import (
    ROLES,
    RULES,
    Flag,
    Flags,
    NotAllowed,
    isa_state,
    move,
    permit,
    refusal,
)
from tests.helpers.episodes import episode
from tests.helpers.refusals import refusal_of
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
    "mute": lambda a, k, s, o, d: None if o else (a, k, True, o, d),
    "unmute": lambda a, k, s, o, d: (a, k, False, o, d) if s else None,
    "mute_ends": lambda a, k, s, o, d: (a, k, False, o, d) if s else None,
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
    assert tuple(asdict(Flags())) == get_args(Flag)


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
    "operator": ("close", "acknowledge", "confirm", "comment", "assign", "mute", "unmute"),
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
    at_once = episode(0.01, "too-wet")
    assert first_out(a, [*together, at_once]) == "later", "of one second none came first"
