import pytest

from alerting.definitions.assets import Asset, EventType, Variable
from alerting.definitions.checks.against_assets import ASSET_REMEDY, faults_against_assets
from alerting.definitions.faults import DefinitionRefused
from alerting.definitions.revisions import definition_document
from alerting.kinds.registry import definition_types
from alerting.kinds.validation import parse_definition
from tests.builders import classifier, oven, threshold, too_hot, too_moist

pytestmark = pytest.mark.fast


def faults_of(document):
    with pytest.raises(DefinitionRefused) as refusal:
        parse_definition(document)
    return [str(f) for f in refusal.value.faults]


@pytest.mark.parametrize("document", [too_hot(), too_moist()], ids=["threshold", "classifier"])
def test_five_lines_make_a_definition(document):
    assert len(document) == 5
    assert parse_definition(document).name == document["name"]


def test_with_a_misspelt_kind_the_other_faults_are_said_too():
    found = faults_of(too_hot(kind="treshold", abov=215, **{"for": "5 minutes"}))
    assert [fault.partition(":")[0] for fault in found] == ["kind", "for", "abov"]
    assert len(faults_of(too_hot(kind="recipe", abov=215))) == 1  # it resembles none


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (too_hot(abov=215), "abov: is not a field (did you mean above?)"),
        (too_hot(kind="treshold"), "kind: 'treshold' is not a kind (did you mean threshold?)"),
        (
            {"name": "x"},
            "kind: is missing (write "
            f"{' or '.join(f'kind: {kind}' for kind in definition_types())})",
        ),
        (too_hot(above=None), "above: a limit is missing (add above: or below:)"),
        (
            too_hot(below=220),
            "below: below 220.0 must be less than above 215.0 (the good range lies between them)",
        ),
        (
            too_hot(clear_above_at=220),
            "clear_above_at: must not be greater than above, which must be given",
        ),
        (too_hot(above=float("nan")), "above: should be a finite number"),
        (
            too_hot(**{"for": "5 minutes"}),
            "for: '5 minutes' is not a duration; write for example 30m, 1h30m or 5d",
        ),
        (too_hot(assets=[]), "assets: is empty (at least 1 is needed)"),
        (
            too_hot(assets=["oven 1"]),  # and not that the list is empty
            "assets.0: 'oven 1' is not a legal name (letters, digits, - and _ only)",
        ),
        (
            too_hot(name="too hot"),
            "name: 'too hot' is not a legal name (letters, digits, - and _ only)",
        ),
        (
            too_hot(schedule={"every": "30s"}),
            "schedule.every: 30s is too short (the shortest is 1m)",
        ),
        (
            too_hot(schedule={"timezone": "Mars/Base"}),
            "schedule.timezone: 'Mars/Base' is not an IANA time zone (e.g. Europe/Berlin)",
        ),
        (
            too_hot(problem={"event": "failure"}, horizon="0s"),
            "horizon: must be longer than 0s (write for example 30m)",
        ),
        (
            too_moist(
                horizon="0s", problem={"variable": "moisture", "above": 4.5, "predict": "onset"}
            ),
            "problem.predict: with horizon: 0s nothing lies ahead, so no onset can be predicted "
            "(write predict: state, or a horizon such as 30m)",
        ),
        (
            too_moist(horizon="0s", gap="5m"),
            "gap: with horizon: 0s the unit is already made, so there is no time to act before it "
            "(remove gap)",
        ),
        (
            too_moist(horizon="0s", problem={"variable": "moisture", "above": 4.5, "for": "5m"}),
            "problem.for: with horizon: 0s each unit is good or bad by itself, not for a time "
            "(remove for)",
        ),
        (
            too_moist(
                horizon="0s", problem={"variable": "moisture", "above": 4.5, "recovery": "5m"}
            ),
            "problem.recovery: with horizon: 0s every unit counts (remove recovery)",
        ),
        (
            too_moist(
                horizon="0s", problem={"variable": "moisture", "above": 4.5, "merge_within": "5m"}
            ),
            "problem.merge_within: with horizon: 0s each unit is good or bad by itself (remove "
            "merge_within)",
        ),
        (
            too_moist(problem={"variable": "moisture", "above": 4.5, "clear": 4.6}),
            "problem.clear: 4.6 lies beyond the limit above 4.5 (the good side is below the limit)",
        ),
        (
            too_moist(problem={"variable": "moisture", "below": 4.5, "clear": 4.4}),
            "problem.clear: 4.4 lies beyond the limit below 4.5 (the good side is above the limit)",
        ),
        (
            too_moist(problem={"variable": "moisture", "above": 4.5, "below": 3, "clear": 4}),
            "problem.clear: one value cannot clear both above and below (write the difference to "
            "both, clear: {difference: …})",
        ),
        (
            too_moist(
                problem={
                    "variable": "moisture",
                    "above": 4.5,
                    "below": 3.5,
                    "clear": {"difference": 0.6},
                }
            ),
            "problem.clear: no value lies 0.6 within both limits (write less than 0.5)",
        ),
        (
            too_moist(problem={"event": "failure", "clear": 4}),
            "problem.clear: goes with a variable and its limit above or below (remove clear; "
            "problems near each other are one by merge_within)",
        ),
        (
            too_moist(problem={"variable": "moisture", "above": 4.5, "clear": {"difference": 0}}),
            "problem.clear.difference: should be greater than 0.0, not 0",
        ),
        (
            too_moist(problem={"variable": "moisture", "above": 4.5, "clear": "low"}),
            "problem.clear: should be a number, not 'low'",
        ),
        (
            too_moist(features={"stride": "1h"}),
            "horizon: 30m is shorter than the stride 1h (lengthen the horizon or shorten "
            "features.stride)",
        ),
        (
            too_moist(problem={"variable": "moisture"}),
            "problem: has no limit for moisture (add above:, below: or equals:)",
        ),
        (
            too_moist(problem={"variable": "moisture", "above": 3, "equals": 4}),
            "problem.equals: cannot stand beside above or below (keep one of them)",
        ),
        (
            too_moist(problem={"event": "failure", "equals": True}),
            "problem: an event has no limit, no value and no `for` (remove above, below, equals "
            "and for)",
        ),
        (
            too_moist(problem={"above": 3}),
            "problem: needs either a variable with a limit, or an event type",
        ),
        (
            too_moist(periods={"validation": 0.5, "test": 0.5}),
            "periods: validation 0.5 and test 0.5 leave nothing to train on",
        ),
        (
            too_moist(operating_point={"least_precision": 0.5, "false_alarms_per_week": 3}),
            "operating_point: gives more than one way to choose the threshold: "
            "false_alarms_per_week and least_precision "
            "(keep one of them)",
        ),
        (
            too_moist(operating_point={"cost_of_false_alarm": 30}),
            "operating_point.cost_of_miss: is missing (the two costs belong together)",
        ),
        (
            too_moist(schedule={"retrain": "every day"}),
            "schedule.retrain: 'every day' is not a cron expression (e.g. 0 3 * * 0 for Sunday "
            "03:00)",
        ),
    ],
)
def test_a_fault_is_named_with_its_place_and_a_hint(document, fault):
    assert fault in faults_of(document)


BAND = {"low": 3, "high": 5}
LEVELS = {"medium": {"above": 230}, "critical": {"above": 215}}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"above": "hot"}, "above: should be a number, not 'hot'"),
        ({"above": {"atribute": "x"}}, "above.atribute: is not a field"),
        (
            {"equals": 3},
            "equals: cannot stand beside above or below (one condition per definition; see levels)",
        ),
        (
            {"above": None, "inside": {"low": 3, "high": 3}},
            "inside.low: 3.0 must be less than high 3.0",
        ),
        ({"above": None, "inside": {"low": 3}}, "inside.high: is missing"),
        (
            {"clear_inside": BAND},
            "clear_inside: goes with outside (after above and below it is clear_above_at and "
            "clear_below_at)",
        ),
        (
            {"above": None, "outside": BAND, "clear_inside": {"low": 2, "high": 4}},
            "clear_inside: must lie within the band of",
        ),
        (
            {"above": None, "outside": BAND, "clear_inside": BAND, "clear_above_at": 4},
            "clear_inside: repeats clear_above",
        ),
        ({"clear_outside": BAND}, "clear_outside: goes with inside, or with equals and a number"),
        (
            {"above": None, "equals": True, "clear_outside": BAND},
            "clear_outside: goes with inside, or with equals and a number",
        ),
        (
            {"above": None, "equals": 6, "clear_outside": BAND},
            "clear_outside: must contain what triggers",
        ),
        (
            {"above": None, "inside": {"low": 2, "high": 4}, "clear_outside": BAND},
            "clear_outside: must contain what triggers",
        ),
        (
            {"above": None, "inside": BAND, "clear_outside": {"low": 6, "high": 1}},
            "clear_outside.low: 6.0 must be less than high",
        ),
        (
            {"above": None, "levels": LEVELS},
            "levels.critical.above: 215.0 must be greater than that of medium, 230.0",
        ),
        (
            {"above": None, "levels": {"worst": {"above": 1}}},
            "levels.worst: is not a field (fields here: critical, high, low",
        ),
        (
            {"above": None, "levels": {"low": {}}},
            "levels.low: a limit is missing (add above: or below:)",
        ),
        ({"above": None, "levels": {}}, "levels: has no level"),
        (
            {"at_least": {"readings": 5, "of": 3}},
            "at_least.readings: 5 of 3 readings is impossible",
        ),
        (
            {"rate_per": "1m", "no_data": "ignore"},
            "rate_per: needs regular readings (remove no_data: ignore)",
        ),
        (
            {"above": None, "equals": 3, "rate_per": "1m"},
            "rate_per: a rate needs limits; equals applies to values",
        ),
        (
            {"frozen_after": "5m", "for": "5m"},
            "frozen_after: must be longer than `for` (a constant value would count as frozen",
        ),
        (
            {"frozen_after": "5m", "no_data": "ignore"},
            "frozen_after: changes nothing with no_data: ignore",
        ),
        ({"no_data": "normal"}, "no_data: should be 'hold', 'alert' or 'ignore'"),
    ],
)
def test_a_fault_of_a_threshold_is_named_once(changes, fault):
    faults = faults_of(too_hot(**changes))
    assert [f for f in faults if f.startswith(fault)], faults
    assert len([f for f in faults if f.split(":")[0] == fault.split(":")[0]]) == 1


STATED = {"max_temperature": 220.0, "model": "m1", "recipe": "plain"}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"above": {"attribute": "max"}},
            "above: asset 'oven-1' has no attribute 'max' (known attributes: max_temperature, "
            "model, recipe)",
        ),
        (
            {"above": {"attribute": "model"}},
            "above: attribute 'model' of asset 'oven-1' is 'm1'; a limit needs a number",
        ),
        (
            {"above": {"attribute": "max_temperature"}, "below": 300},
            "assets: the limits stated by asset 'oven-1' are in the wrong order: below 300.0, "
            "above 220.0",
        ),
        (
            {"variable": "crew", "above": None, "equals": 3},
            "equals: 3.0 is not a possible value of 'crew', a category (write text)",
        ),
        (
            {"variable": "crew"},
            "variable: 'crew' is a category; a limit needs a number (write equals: and its text)",
        ),
        (
            {"problem": {"variable": "crew", "equals": True}},
            "problem.variable: True is not a possible value of 'crew', a category (after equals: "
            "write text)",
        ),
        ({"problem": {"variable": "crew", "equals": "blue"}}, None),
        (
            {"stale_after": "30s"},
            "stale_after: 30s is shorter than the sampling of 'temperature' on 'oven-1', 1m "
            "(lengthen it; otherwise no condition holds from one reading to the next)",
        ),
        ({"above": {"attribute": "max_temperature"}}, None),
        ({"variable": "crew", "above": None, "equals": "blue"}, None),
        ({"variable": "crew", "above": None, "equals": {"attribute": "recipe"}}, None),
    ],
)
def test_what_a_threshold_needs_of_its_assets_is_checked(changes, fault):
    asset = oven(crew=Variable(type="category"), temperature=Variable(sampling="1m"))
    asset = asset.model_copy(update={"attributes": STATED})
    faults = [str(f) for f in faults_against_assets(threshold(**changes), [asset], [])]
    assert faults == ([] if fault is None else [fault])


def test_all_faults_are_reported_at_once_even_those_across_fields():
    faults = faults_of(
        too_hot(colour="red", above=None, schedule={"every": "10s"}, severity="huge")
    )
    assert [f.split(":")[0] for f in faults] == ["severity", "colour", "schedule.every", "above"]


def test_a_definition_reads_back_from_its_document():
    document = too_moist(
        features={"windows": ["15m", "1h30m"]}, guidance={"action": "slow the belt"}
    )
    definition = parse_definition(document)
    in_utc = {**document, "schedule": {"timezone": "UTC"}}
    assert definition_document(definition) == in_utc  # the zone of its clock times is always there
    assert parse_definition(definition_document(definition)) == definition


def test_an_unknown_variable_is_answered_with_the_nearest_names():
    faults = faults_against_assets(threshold(variable="temprature"), [oven()], [])
    assert [str(f) for f in faults] == [
        "variable: none of the matched assets has a variable 'temprature' (did you mean "
        "temperature?)"
    ]


def test_an_unknown_asset_is_answered_with_the_known_ones():
    faults = faults_against_assets(threshold(assets=["kiln"]), [oven()], [])
    assert [str(f) for f in faults] == [
        f"assets: no asset is called 'kiln' (known assets: oven-1; {ASSET_REMEDY})"
    ]


def test_a_category_has_no_limit():
    asset = oven(temperature=Variable(type="category"))
    assert "a limit needs a number" in str(faults_against_assets(threshold(), [asset], [])[0])


def test_event_types_and_attributes_are_held_against_what_is_known():
    definition = classifier(
        problem={"event": "failure-*"}, features={"events": ["error*"], "attributes": ["age"]}
    )
    known = [EventType(name="failure-comp1", duration="instant")]
    faults = faults_against_assets(
        definition, [Asset(name="oven-1", attributes={"model": "m1"})], known
    )
    assert [f.path for f in faults] == ["features.events", "features.attributes"]


def test_limits_of_advice_are_held_against_variables_that_can_be_set():
    asset = oven(belt_speed=Variable(controllable=True), moisture=Variable())
    limits = {"belt_sped": {"max": 8}, "moisture": {"min": 1}, "belt_speed": {"rate": 0.1}}
    definition = classifier(recommendation={"variables": limits})
    assert [str(f) for f in faults_against_assets(definition, [asset], [])] == [
        "recommendation.variables.belt_sped: none of the matched assets has this variable (did "
        "you mean belt_speed?)",
        "recommendation.variables.moisture: operators can set it in none of the matched assets "
        "(declare it controllable: true in the asset)",
    ]
    left_alone = classifier(recommendation={"variables": {"moisture": {"controllable": False}}})
    assert faults_against_assets(left_alone, [asset], []) == []


def test_limits_of_advice_leave_something_between_them():
    with pytest.raises(
        DefinitionRefused, match=r"recommendation.variables.belt_speed: min 9 is above max 8"
    ):
        classifier(recommendation={"variables": {"belt_speed": {"min": 9, "max": 8}}})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"rules": ["nelson_1", "western_electric_4"]},
            "western_electric_4 signals after at most 256 points",
        ),
        (
            {"rules": ["nelson_1", "nelson_2"], "average_run_length": 1000},
            "nelson_2 signals after at most 520 points",
        ),
        (
            {"rules": ["nelson_1", "nelson_2"], "subgroup": 5},
            "nelson_2 signals after at most 260 points",
        ),
        ({"rules": ["nelson_1", "nelson_2"]}, None),
        ({"rules": ["nelson_1", "western_electric_4"], "average_run_length": 200}, None),
    ],
)
def test_a_rule_that_signals_more_often_than_the_run_length_allows_is_refused(changes, fault):
    document = {
        "name": "shifted",
        "kind": "control_chart",
        "assets": ["press-1"],
        "variable": "force",
        "chart": "shewhart",
    }
    if fault is None:
        parse_definition(document | changes)
    else:
        assert [f.split(" on average")[0] for f in faults_of(document | changes)] == [
            f"rules: {fault}"
        ]


def test_a_problem_of_several_variables_reports_every_fault_at_once():
    wrong = [
        {"variable": "moisture"},
        {"any": [{"variable": "oven", "above": 2, "below": 3}]},
        {"above": 3},
    ]
    assert faults_of(too_moist(problem={"variable": "moisture", "all": wrong})) == [
        "problem.variable: cannot stand beside all (write it in a condition of all, or remove all)",
        "problem.all.1.any: needs at least two conditions (write a single one with variable: and "
        "its limit)",
        "problem.all.0.above: a limit is missing (add above: or below:)",
        "problem.all.1.any.0.below: below 3.0 must be less than above 2.0 (the good range lies "
        "between them)",
        "problem.all.2.variable: is missing (write variable: and a limit, or any: or all:)",
    ]
    forecast = {
        "name": "x",
        "kind": "forecast",
        "assets": ["oven-1"],
        "horizon": "1h",
        "problem": {"any": [MOIST, COOL]},
    }
    assert faults_of(forecast) == [
        "problem: a forecast needs one variable with limits "
        "(write problem: {variable: …, above: …}, or variable: … for its value alone; for "
        "conditions of several choose kind: classifier)"
    ]


def test_a_forecast_has_a_problem_or_the_variable_of_a_value_alone():
    forecast = {"name": "x", "kind": "forecast", "assets": ["oven-1"], "horizon": "1h"}
    alone = forecast | {"variable": "moisture"}
    assert parse_definition(alone).problem.variable == "moisture"
    assert faults_of(alone | {"problem": {"variable": "moisture", "above": 4}}) == [
        "variable: is given beside a problem, whose variable is predicted (keep one of them: "
        "variable for the value alone, problem for an alarm too)"
    ]
    assert faults_of(alone | {"operating_point": {"least_precision": 0.8}, "clear_at": 0.3}) == [
        "clear_at: means nothing without an alarm (remove it, or write a problem)",
        "operating_point: means nothing without an alarm (remove it, or write a problem)",
    ]
    assert "problem: needs either a variable with a limit, or an event type" in faults_of(forecast)
    assert faults_of(forecast | {"problem": {"variable": "moisture"}}) == [
        "problem: has no limit for moisture (add above:, below: or equals:)"
    ]


def test_variables_of_a_problem_are_compared_with_the_assets():
    definition = classifier(
        problem={"all": [MOIST | {"variable": "moistur"}, COOL | {"equals": "low", "below": None}]}
    )
    assert [str(fault) for fault in faults_against_assets(definition, [oven()], ())] == [
        "problem.all.0.variable: none of the matched assets has a variable 'moistur' (did you "
        "mean moisture?)",
        "problem.all.1.equals: 'low' is not a possible value of 'temperature', a number (write "
        "number)",
    ]


MOIST = {"variable": "moisture", "above": 4.5}
COOL = {"variable": "temperature", "below": 180}
