"""The definition of kind `control_chart`, and the rules of its chart by name: those of the Western
Electric handbook (1956) and of Nelson (1984).

A rule tests the last standardised points z, oldest first: z = (value - centre line) / standard
deviation. `width` widens or narrows all zones together: the limits lie at ±3 width, zone A begins
at ±2 width, zone B at ±1 width.

Sources: Western Electric, Statistical Quality Control Handbook, 1956; L. S. Nelson, The Shewhart
control chart: tests for special causes, Journal of Quality Technology 16 (1984), 237-239.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, ClassVar, Literal

from pydantic import Field

from alerting.definitions.alert_definition import Definition, Problem
from alerting.definitions.asset_documents import Asset, EventType, VariableName
from alerting.definitions.faults import Duration, Fault, shown
from alerting.definitions.fields.condition_checks import variable_faults
from alerting.definitions.fields.learning import Dates, PromotionMode
from alerting.definitions.fields.names_and_times import Number
from alerting.definitions.fields.problem import NO_TITLES, Titles, Variables, variable_title
from alerting.definitions.fields.shared_fields import Start
from alerting.definitions.wording.language import template, translatable
from alerting.kinds.normal_definition import USUAL_PERIOD, NormalDefinition, NormalPeriod

RuleName = Literal[
    "western_electric_1",
    "western_electric_2",
    "western_electric_3",
    "western_electric_4",
    "nelson_1",
    "nelson_2",
    "nelson_3",
    "nelson_4",
    "nelson_5",
    "nelson_6",
    "nelson_7",
    "nelson_8",
]
MOST_POINTS = 15  # that a rule looks at


@dataclass(frozen=True)
class ChartRule:
    """A rule: the largest number of last points that it tests, its sentence, and its test.

    `run_length`: only of a rule that does not depend on the width of the zones: the largest average
    number of points between two false alarms, whatever the limits (simulated, rounded up). `least`:
    number of points that it needs, if fewer than the largest number.
    """

    points: int
    message: str
    signals: Callable[[Sequence[float], float], bool]
    run_length: float | None = None
    least: int | None = None

    @property
    def has_limit(self) -> bool:
        """Return whether the rule depends on the width of the zones."""
        return self.run_length is None


def _beyond(least: int, zone: float) -> Callable[[Sequence[float], float], bool]:
    """Return a test: at least this many points, including the last one, lie beyond a zone on one
    side."""

    def test(z: Sequence[float], width: float) -> bool:
        limit = zone * width
        last = z[-1]
        if last > limit:
            return sum(value > limit for value in z) >= least
        return last < -limit and sum(value < -limit for value in z) >= least

    return test


def _one_side(z: Sequence[float], width: float) -> bool:  # noqa: ARG001 - every test has the same arguments
    return all(value > 0 for value in z) or all(value < 0 for value in z)


def _alternating(z: Sequence[float], width: float) -> bool:  # noqa: ARG001
    return all(a * b < 0 for a, b in pairwise([b - a for a, b in pairwise(z)]))


_LIMIT = ChartRule(1, template("a point lies beyond the control limit"), _beyond(1, 3))
_TWO_OF_THREE = ChartRule(
    3,
    template("2 of 3 points in a row lie in zone A or beyond, on one side"),
    _beyond(2, 2),
    least=2,
)
_FOUR_OF_FIVE = ChartRule(
    5,
    template("4 of 5 points in a row lie in zone B or beyond, on one side"),
    _beyond(4, 1),
    least=4,
)

RULES: dict[RuleName, ChartRule] = {
    "western_electric_1": _LIMIT,
    "western_electric_2": _TWO_OF_THREE,
    "western_electric_3": _FOUR_OF_FIVE,
    "western_electric_4": ChartRule(
        8,
        template("8 points in a row lie on one side of the centre line"),
        _one_side,
        run_length=256,
    ),
    "nelson_1": _LIMIT,
    "nelson_2": ChartRule(
        9,
        template("9 points in a row lie on one side of the centre line"),
        _one_side,
        run_length=520,
    ),
    "nelson_3": ChartRule(
        6,
        template("6 points in a row rise, or fall, steadily"),
        lambda z, _: all(a < b for a, b in pairwise(z)) or all(a > b for a, b in pairwise(z)),
        run_length=430,
    ),
    "nelson_4": ChartRule(
        14, template("14 points in a row go up and down in turn"), _alternating, run_length=615
    ),
    "nelson_5": _TWO_OF_THREE,
    "nelson_6": _FOUR_OF_FIVE,
    "nelson_7": ChartRule(
        15,
        template("15 points in a row lie within one standard deviation"),
        # wider zones would make it signal more often
        lambda z, _: all(abs(value) < 1 for value in z),
        run_length=980,
    ),
    "nelson_8": ChartRule(
        8,
        template("8 points in a row lie outside of zone C, on either side"),
        lambda z, width: all(abs(value) > width for value in z),
    ),
}


def violated(names: Sequence[RuleName], z: Sequence[float], width: float) -> tuple[RuleName, ...]:
    """Return the rules that the last point violates, in the order of `names`. `z`: the last points,
    oldest first."""
    rules = ((name, RULES[name]) for name in names)
    return tuple(
        name
        for name, rule in rules
        if len(z) >= (rule.least or rule.points) and rule.signals(z[-rule.points :], width)
    )


USUAL_RULES: tuple[RuleName, ...] = (
    "western_electric_1",
    "western_electric_2",
    "western_electric_3",
)
LEAST_RUN_LENGTH = 370.0  # where the definition states none
_DAY = timedelta(days=1)


class ControlChartDefinition(NormalDefinition):
    """The process has shifted: a control chart, whose limits are estimated from a normal period
    (phase I)."""

    starts: ClassVar[tuple[Start, ...]] = (
        Start(
            3,
            "A variable that should stay where it is",
            "to find a small lasting shift",
            lambda variable, _: {"variable": variable, "chart": "ewma"},
        ),
    )

    kind: Literal["control_chart"] = Field(description="control_chart: the process has shifted.")
    variable: VariableName = Field(description="The number that is charted.")
    chart: Literal["shewhart", "ewma", "cusum"] = Field(
        "ewma",
        description="shewhart: each point against control limits and zones (with subgroup: X̄, "
        "and S); ewma: moving average, for small lasting shifts; cusum: cumulative "
        "sums, for one size of shift.",
    )
    subgroup: int | None = Field(
        None,
        ge=2,
        le=25,
        description="Readings in a row that make one point: mean (X̄) and standard deviation (S).",
    )
    rules: tuple[RuleName, ...] | None = Field(
        None,
        min_length=1,
        max_length=12,
        description="With chart: shewhart. Rules by name; the three of Western Electric that "
        "have a limit when left out. Rules without a limit bound average_run_length.",
    )
    smoothing: Number | None = Field(
        None,
        gt=0,
        le=1,
        description="With chart: ewma. Weight λ of the newest point; 0.1 when left out. Smaller "
        "ones find smaller shifts.",
    )
    shift: Number | None = Field(
        None,
        gt=0,
        le=10,
        description=(
            "With chart: cusum. Size of the shift to find quickest, in standard deviations of a "
            "point; 1 when left out."
        ),
    )
    average_run_length: Number | None = Field(
        None,
        ge=20,
        le=1_000_000,
        description="Points between two false alarms on average, of all rules together; those of "
        "a week when left out, at least 370.",
    )
    normal: NormalPeriod = Field(
        USUAL_PERIOD,
        description="The period from which limits are estimated (phase I): the last days before "
        "a training, of which the newest fifth counts false alarms, or {from, to}. "
        "Times out of control are left out.",
    )
    autocorrelation: Literal["residuals", "ignore"] = Field(
        "residuals",
        description="residuals: where readings depend on those before them, the residuals of an "
        "autoregressive model are charted. ignore: the readings are.",
    )
    stale_after: Duration | None = Field(
        None,
        description="Time after a reading from which the state is unknown and a run of points "
        "begins anew; ten usual intervals when left out.",
    )
    clear_for: Duration | None = Field(
        None,
        description="Off-delay: no rule may signal this long; ten usual intervals when left out.",
    )
    promotion: PromotionMode = Field(
        default_factory=PromotionMode,
        description="Decision on new limits. Always by a person where they raise more false "
        "alarms on unseen time than average_run_length allows, or where the level "
        "has moved.",
    )

    problem: Problem | None = Field(
        None,
        description=(
            "The problem of which the alert warns, if data can confirm it; they "
            "determine the outcome."
        ),
    )

    @property
    def families(self) -> tuple[str, ...]:
        return (self.chart,)

    def describe(self, variables: Variables, types: Titles = NO_TITLES) -> str:
        title = variable_title(self.variable, variables)
        return translatable("a lasting shift of {variable}", variable=title)

    @property
    def training_text(self) -> str:
        return (
            f"Estimates centre line and limits of a control chart ({self.chart}) of {self.variable}"
        )

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.variable,)

    @property
    def rule_names(self) -> tuple[RuleName, ...]:
        """Return the rules of a Shewhart chart; none of other charts."""
        return (self.rules or USUAL_RULES) if self.chart == "shewhart" else ()

    def question_fields(self) -> dict[str, Any]:
        """Return all fields that decide the estimated limits."""
        others = {"kind", "clear_for", "promotion", "stale_after"}
        fields = {*ControlChartDefinition.model_fields} - {*Definition.model_fields} - others
        return self.model_dump(mode="json", include=fields | {"assets"}, exclude_none=True)

    def stale_time(self, usual: timedelta) -> timedelta:
        """Return the time after which a reading is stale, as written; otherwise `usual`."""
        return usual if self.stale_after is None else self.stale_after

    def variables_evaluated(self, asset: Asset) -> frozenset[str]:
        return frozenset(self.needs)

    def delay(self, asset: Asset) -> timedelta:
        return asset.delay(self.variable)

    def faults(self) -> Iterable[Fault]:
        for field, chart in (("rules", "shewhart"), ("smoothing", "ewma"), ("shift", "cusum")):
            if getattr(self, field) is not None and self.chart != chart:
                yield Fault(
                    field,
                    f"has no meaning for chart: {self.chart}",
                    f"write chart: {chart}, or remove it",
                )
        if self.rules and len(set(self.rules)) < len(self.rules):
            yield Fault("rules", "names a rule twice")
        if not any(RULES[name].has_limit for name in self.rule_names) and self.chart == "shewhart":
            yield Fault(
                "rules",
                "no rule has a limit that could be set",
                "add nelson_1: a point beyond the control limit",
            )
        yield from self._run_length_faults()
        yield from self._time_faults()

    def _run_length_faults(self) -> Iterable[Fault]:
        """Yield a fault for each rule that by itself signals more often than the run length
        allows."""
        charts = 1 if self.subgroup is None else 2
        run_length = self.average_run_length or LEAST_RUN_LENGTH
        for name in self.rule_names:
            of_rule = RULES[name].run_length
            if of_rule is not None and of_rule / charts < run_length:
                possible = int(of_rule / charts * 0.9)
                yield Fault(
                    "rules",
                    f"{name} signals after at most {of_rule / charts:.0f} points on average by "
                    "itself",
                    f"leave it out, or write average_run_length: {possible} or less",
                )

    def _time_faults(self) -> Iterable[Fault]:
        yield from self.period_faults()
        if not isinstance(self.normal, Dates) and self.normal < _DAY:
            yield Fault("normal", "is too short", "the shortest is 1d")
        yield from self.negative_faults("stale_after", "clear_for")

    def faults_on(
        self, targets: Sequence[Asset], event_types: Sequence[EventType]
    ) -> Iterable[Fault]:
        types = {name: v.type for a in targets for name, v in a.variables.items()}
        yield from variable_faults("variable", self.variable, types)
        if types.get(self.variable) == "boolean":
            yield Fault(
                "variable",
                f"{shown(self.variable)} is true or false; a control chart needs a number",
            )


DEFINITION = ControlChartDefinition
