"""The modes of a definition: their faults, the problem that they make, and what is no feature."""

import pytest

from alerting.definitions.asset_documents import EventType, Variable
from alerting.definitions.faults import DocumentRefused
from alerting.definitions.fields.definition_checks import faults_against_assets
from alerting.definitions.revisions import definition_document
from alerting.episodes.mode_shares import ModeShare, describe_modes
from alerting.kinds.registry import parse_definition
from alerting.learning.features.planning import candidate_variables
from tests.builders import history, oven, too_moist
from tests.helpers.refusals import not_refused

pytestmark = pytest.mark.fast

WET = {"variable": "moisture", "above": 4.5}
HOT = {"variable": "temperature", "above": 240.0}
BELT = {"event": "failure-belt"}
FAN = {"event": "failure-fan"}


def with_modes(modes, **changes):
    document = too_moist(modes=modes, **changes)
    return document if "problem" in changes else {**document, "problem": None}


FAULTS = [
    (with_modes({"wet": WET}), "modes: has only one mode (add another one, or remove modes)"),
    (with_modes({f"m{n}": WET for n in range(21)}), "modes: has too many entries; at most 20"),
    (with_modes({"wet": WET, "again": WET}), "modes.again: is the same as mode wet"),
    (with_modes({"wet": WET, "belt": BELT}), "modes: are events and conditions on variables"),
    (
        with_modes({"fan": FAN, "belt": BELT}, problem=WET),
        "modes: are events and conditions on variables, or the problem is",
    ),
    (with_modes({"wet": WET, "a b": HOT}), "'a b' is not a legal name"),
    (with_modes({"wet": WET, "hot": {"variable": "temperature"}}), "modes.hot: has no limit"),
    (with_modes({"wet": WET, "hot": HOT | {"event": "x"}}), "modes.hot: needs either a variable"),
    (with_modes({"wet": WET, "hot": HOT | {"colour": 3}}), "modes.hot.colour: is not a field"),
    (with_modes({"a": {"event": "a"}, "b": {"event": "b"}}), "problem: is missing"),
]


def test_each_fault_of_modes_is_said_with_its_place():
    assert not_refused(parse_definition, FAULTS) == []


def test_without_a_problem_it_is_that_any_of_the_modes_comes():
    by_values = parse_definition(with_modes({"wet": WET, "hot": HOT | {"action": "Cool."}}))
    assert [(m.variable, m.above) for m in by_values.problem.any] == [
        ("moisture", 4.5),
        ("temperature", 240.0),
    ]
    assert by_values.action_of("hot") == "Cool."
    assert by_values.action_of("wet") is by_values.action_of(None) is None
    by_events = parse_definition(with_modes({"belt": BELT, "fan": FAN}))
    assert by_events.problem.event == "failure-*"
    stated = parse_definition(with_modes({"wet": WET, "hot": HOT}, problem=WET | {"for": "5m"}))
    assert stated.problem.variable == "moisture"
    assert {m.hold.total_seconds() for m in stated.mode_problems.values()} == {300}
    again = parse_definition(by_values.model_dump(mode="json", by_alias=True, exclude_none=True))
    assert again == by_values


def test_a_document_of_modes_holds_no_copy_of_their_problem():
    for modes in ({"wet": WET, "hot": HOT}, {"belt": BELT, "fan": FAN}):
        made = parse_definition(with_modes(modes))
        written = definition_document(made)
        assert "problem" not in written
        assert parse_definition(written) == made
    stated = parse_definition(with_modes({"wet": WET, "hot": HOT}, problem=WET))
    assert definition_document(stated)["problem"] == WET


def test_unknown_variables_and_events_of_modes_are_faults_on_the_assets():
    types = [EventType(name="failure-belt", duration="instant")]
    wrong = [{"wet": WET, "dry": {"variable": "moistur", "below": 1.0}}, {"b": BELT, "fan": FAN}]
    faults = [
        str(fault)
        for modes in wrong
        for fault in faults_against_assets(parse_definition(with_modes(modes)), [oven()], types)
    ]
    assert [f for f in faults if f.startswith("modes.dry.variable: none of the matched assets")]
    assert [f for f in faults if f.startswith("modes.fan.event: no event type is called")]


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"horizon": "0s", "problem": WET}, set()),
        ({"problem": HOT}, set()),
        ({}, {"drift", "double"}),
    ],
)
def test_what_is_computed_from_a_hidden_result_is_no_feature(changes, seen):
    """`drift` follows the moisture, `double` follows `drift`."""
    computed = {
        "drift": {"computed": {"kind": "rate", "of": "moisture", "within": "1h"}},
        "double": {
            "computed": {"kind": "lag", "of": "drift", "time_constant": "1m", "within": "1h"}
        },
    }
    line = oven(**{name: Variable.model_validate(v) for name, v in computed.items()})
    made = parse_definition(with_modes({"wet": WET, "hot": HOT}, **changes))
    empty = history(range(3), line, moisture=[4.0] * 3, temperature=[200.0] * 3)
    for visible in (made.variables_evaluated(line), candidate_variables(made, [empty])):
        assert {"drift", "double"}.intersection(visible) == seen


@pytest.mark.parametrize("modes", [None, {}])
def test_no_modes_are_no_problem(modes):
    with pytest.raises(DocumentRefused, match="problem: should be a group"):
        parse_definition(with_modes(modes))


def test_a_variable_that_only_shows_the_mode_is_no_feature_but_is_read():
    modes = {"wet": WET, "hot": HOT}
    for changes, unseen in (
        ({}, set()),
        ({"problem": WET}, {"temperature"}),
        ({"horizon": "0s"}, {"moisture", "temperature"}),
    ):
        made = parse_definition(with_modes(modes, **changes))
        assert made.never_seen(oven()) == unseen
        assert not made.variables_evaluated(oven()) & unseen
        assert {"moisture", "temperature"} <= made.variables_read(oven())


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        (((("hot",), 0.71, True), (("wet", "mishap"), 0.29, False)),
         "probable mode: hot 71 %, one of the others 29 %"),
        (((("mishap",), 0.6, False), (("hot",), 0.4, True)),
         "mode not certain: mishap 60 %, hot 40 %"),
    ],
)  # fmt: skip
def test_a_mode_that_is_not_told_from_chance_is_not_called_probable(shares, text):
    assert describe_modes([ModeShare(*share) for share in shares]) == text
