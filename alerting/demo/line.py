"""The demo line as one asset, and its readings and events between two instants: from its physics
and its programme.

Pure. Simulating [0, n) at once or in any chunks gives the same bits: randomness is stateless
(`disturbances.py`), and the whole state of the line is in `DemoLineState`, whose document survives
JSON and BSON unchanged.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import exp, pi, sin

from alerting.definitions.asset_documents import Asset, EventType, Relation, Variable
from alerting.demo.disturbances import (
    AIR_FILTER,
    CHECKWEIGHER,
    DAY,
    EXHAUST_FAN,
    MINUTE,
    SET_POINTS,
    WEIGHT,
    DayOfChance,
    Disturbance,
    LineSchedule,
    belt_slips,
    calibration_steps,
    cloggings,
    day_of_chance,
    fan_values,
    pressure_drops,
    weights,
)
from alerting.ports import EventRow, ReadingRow

ASSET = "oven-1"

EVENT_TYPES = (
    EventType(name="line-stop", duration="lasting"),
    EventType(name="maintenance", duration="lasting"),
    EventType(name="set-point-change", duration="instant"),
)


def _measured_variable(title: str, unit: str, low: float, high: float) -> Variable:
    return Variable(title=title, unit=unit, low=low, high=high, sampling=MINUTE)


def _zone_setpoint(zone: int, minimum: float, maximum: float) -> Variable:
    return Variable(
        title=f"Zone {zone} set-point",
        unit="°C",
        low=150,
        high=260,
        sampling=MINUTE,
        controllable=True,
        min=minimum,
        max=maximum,
        step=1,
        max_change=10,
    )


# Relations to set-points: a zone's temperature within minutes, as far as its burner can, and the
# belt's speed.
RELATIONS = (
    *(
        Relation(
            variable=f"zone_{z}_temperature",
            kind="lag",
            of=f"zone_{z}_setpoint",
            time_constant=timedelta(minutes=2),
        )
        for z in (1, 2, 3)
    ),
    Relation(variable="belt_speed", kind="equal", of="belt_speed_setpoint"),
)


def demo_asset() -> Asset:
    """Return the oven: 15 numbers, one reading a minute, four set-points with followers."""
    zones = {
        f"zone_{z}_temperature": _measured_variable(f"Zone {z} temperature", "°C", 20, 350)
        for z in (1, 2, 3)
    }
    burners = {
        f"zone_{z}_burner_power": _measured_variable(f"Zone {z} burner power", "%", 0, 100)
        for z in (1, 2, 3)
    }
    belt = Variable(
        title="Belt speed set-point",
        unit="m/min",
        low=0,
        high=15,
        sampling=MINUTE,
        controllable=True,
        min=6.5,
        max=10.5,
        step=0.1,
        max_change=0.8,
        cost=2,
    )
    return Asset(
        name=ASSET,
        title="Biscuit oven 1",
        attributes={"product": "butter biscuit", "zones": 3.0},
        variables={
            **zones,
            **burners,
            "belt_speed": _measured_variable("Belt speed", "m/min", 0, 15),
            "dough_moisture": _measured_variable("Dough moisture at the oven inlet", "%", 5, 50),
            "air_humidity": _measured_variable("Relative humidity of the supply air", "%", 0, 100),
            "moisture": _measured_variable("Biscuit moisture at the oven outlet", "%", 0, 30),
            "colour": _measured_variable("Biscuit lightness L* at the oven outlet", "L*", 0, 100),
            "zone_1_setpoint": _zone_setpoint(1, 185, 225),
            "zone_2_setpoint": _zone_setpoint(2, 205, 236),
            "zone_3_setpoint": _zone_setpoint(3, 195, 235),
            "belt_speed_setpoint": belt,
        },
        relations=RELATIONS,
    )


ZONES = 3
ZONE_LENGTH = 14.0
OVEN_LENGTH = ZONES * ZONE_LENGTH
# Open conveyor between the oven and the gauges, at belt speed: biscuits cool, and change no more.
COOLING_LENGTH = 64.0
STEPS = 6  # steps in a minute: one every 10 s
DT = 1.0 / STEPS

AMBIENT = 30.0
# Rise over ambient that a clean burner at full power would reach in an empty zone.
BURNER_RISE = 420.0
LOAD_FALL = 40.0  # fall caused by dough passing at 8 m/min, in proportion to speed
LOAD_SPEED = 8.0
ZONE_LAG = 10.0
BELT_LAG = 0.5
HOPPER_LAG = 6.0

GAIN = 0.02  # proportional gain of a zone's controller, share of power per °C
RESET_TIME = 6.0  # integral time of a zone's controller

REFERENCE = (205.0, 225.0, 215.0)
# Drying rate of each zone at its reference temperature and 50 % humidity, 1/min.
DRYING = (0.264, 0.416, 0.362)
DRYING_SENSITIVITY = 0.018  # relative rise of the drying rate per °C
DAMPING = 0.006  # relative fall of the drying rate per point of relative humidity over 50 %
DOUGH_USUAL = 22.0
# Relative fall of the drying rate per point of dough moisture over the usual: wetter pieces spread
# less and stay thicker.
STICKINESS = 0.012
# Loss of lightness per minute in each zone at its reference temperature.
BROWNING = (0.3, 2.6, 4.2)
BROWNING_SENSITIVITY = 0.025
DOUGH_LIGHTNESS = 75.0
SOURCE = "demo"
# Minutes for which a person's set-point stays in force; then the crew returns to its own.
HOLD = 8 * 60

GAP_SHARE = 0.003  # share of single values that are missing

DOUGH_BATCH = 0.2
AIR_USUAL = 50.0
AIR_DAILY = 3.0

# Standard deviation of each sensor's error, in the unit of the variable; set-points are exact.
SENSOR_ERRORS = {
    "zone_1_temperature": 0.6,
    "zone_2_temperature": 0.6,
    "zone_3_temperature": 0.6,
    "zone_1_burner_power": 0.5,
    "zone_2_burner_power": 0.5,
    "zone_3_burner_power": 0.5,
    "belt_speed": 0.01,
    "dough_moisture": 0.35,
    "air_humidity": 0.8,
    "moisture": 0.04,
    "colour": 0.3,
    **dict.fromkeys(SET_POINTS, 0.0),
}

# Range of each sensor; it shows no value outside.
RANGES = {name: (v.low or 0.0, v.high or 0.0) for name, v in demo_asset().variables.items()}


@dataclass
class Parcel:
    """A row of biscuits: metres from the inlet, moisture of dough and now, lightness lost."""

    position: float
    dough: float
    moisture: float
    browning: float


@dataclass
class Oven:
    """State of the oven between two steps. `integral` belongs to the controllers.

    `parcels` are in the oven, `cooling` behind it. `moisture` and `colour` are the values of the
    biscuits that passed the gauges last in this minute, None without any.
    """

    temperature: list[float] = field(default_factory=lambda: list(REFERENCE))
    power: list[float] = field(default_factory=lambda: [0.56] * ZONES)
    integral: list[float] = field(default_factory=lambda: [0.56] * ZONES)
    belt: float = LOAD_SPEED
    dough: float = DOUGH_USUAL
    parcels: list[Parcel] = field(default_factory=list)
    cooling: list[Parcel] = field(default_factory=list)
    moisture: float | None = None
    colour: float | None = None


@dataclass(frozen=True)
class OvenConditions:
    """Inputs of the oven during one minute.

    `setpoint`: zones in °C. `belt`: m/min, 0 while stopped. `dough`: moisture entering the hopper,
    %. `humidity`: of the supply air, %. `efficiency`: heat delivered per power asked for, per zone.
    `least_power`: a valve that cannot close further. `draught`: °C per minute lost or won by
    chance, per zone. `flour`: factor on the drying rate.
    """

    setpoint: tuple[float, float, float]
    belt: float
    dough: float
    humidity: float
    efficiency: tuple[float, float, float]
    least_power: tuple[float, float, float]
    draught: tuple[float, float, float]
    flour: float


def run_minute(oven: Oven, conditions: OvenConditions) -> None:
    """Advance the oven by a minute; a parcel enters if the belt is to move."""
    oven.moisture = oven.colour = None
    if conditions.belt > 0:
        oven.parcels.append(Parcel(0.0, oven.dough, oven.dough, 0.0))
    else:
        oven.parcels.clear()
    for _ in range(STEPS):
        for zone in range(ZONES):
            _control(oven, conditions, zone)
            _heat(oven, conditions, zone)
        oven.belt += (conditions.belt - oven.belt) * DT / BELT_LAG
        oven.dough += (conditions.dough - oven.dough) * DT / HOPPER_LAG
        _cool(oven)
        _bake(oven, conditions)


def _control(oven: Oven, conditions: OvenConditions, zone: int) -> None:
    """Apply a PI controller with limits, without wind-up of its integral."""
    error = conditions.setpoint[zone] - oven.temperature[zone]
    integral = oven.integral[zone] + GAIN * error * DT / RESET_TIME
    power = integral + GAIN * error
    if (power < 1.0 or error < 0.0) and (power > 0.0 or error > 0.0):
        oven.integral[zone] = integral
    oven.power[zone] = min(1.0, max(conditions.least_power[zone], power))


def _heat(oven: Oven, conditions: OvenConditions, zone: int) -> None:
    """Apply a first-order lag to the equilibrium of burner, walls and passing dough."""
    rise = BURNER_RISE * conditions.efficiency[zone] * oven.power[zone]
    equilibrium = AMBIENT + rise - LOAD_FALL * oven.belt / LOAD_SPEED
    oven.temperature[zone] += (
        (equilibrium - oven.temperature[zone]) / ZONE_LAG + conditions.draught[zone]
    ) * DT


def _bake(oven: Oven, conditions: OvenConditions) -> None:
    """Dry, brown and move every parcel, and take those at the outlet off the belt."""
    damp = conditions.flour * (1.0 - DAMPING * (conditions.humidity - 50.0))
    excess = [t - r for t, r in zip(oven.temperature, REFERENCE, strict=True)]
    drying = [k * damp * exp(DRYING_SENSITIVITY * e) for k, e in zip(DRYING, excess, strict=True)]
    browning = [b * exp(BROWNING_SENSITIVITY * e) for b, e in zip(BROWNING, excess, strict=True)]
    move = oven.belt * DT
    for parcel in oven.parcels:
        remaining = OVEN_LENGTH - parcel.position
        time = DT if move <= remaining else DT * remaining / move
        zone = min(ZONES - 1, int((parcel.position + 0.5 * move) / ZONE_LENGTH))
        thick = 1.0 - STICKINESS * (parcel.dough - DOUGH_USUAL)
        parcel.moisture *= exp(-drying[zone] * thick * time)
        parcel.browning += browning[zone] * time
        parcel.position += move
    while oven.parcels and oven.parcels[0].position >= OVEN_LENGTH:
        oven.cooling.append(oven.parcels.pop(0))


def _cool(oven: Oven) -> None:
    for parcel in oven.cooling:
        parcel.position += oven.belt * DT
    while oven.cooling and oven.cooling[0].position >= OVEN_LENGTH + COOLING_LENGTH:
        done = oven.cooling.pop(0)
        oven.moisture = done.moisture
        oven.colour = DOUGH_LIGHTNESS - done.browning


@dataclass(frozen=True)
class SetPointChange:
    """A person's set-point from `minute` on for `hold` minutes. `before`: until then."""

    minute: int
    variable: str
    value: float
    before: float
    actor: str
    hold: int = HOLD

    @property
    def until(self) -> int:
        """Return the first minute in which the change is over, or a person sets another value."""
        return self.minute + self.hold


@dataclass
class Walks:
    """Slow walks: `air` and `dough` in points, `flour` relative, `fouling` per burner."""

    air: float = 0.0
    dough: float = 0.0
    flour: float = 0.0
    fouling: list[float] = field(default_factory=lambda: [0.02, 0.03, 0.02])


@dataclass(frozen=True)
class DemoLineState:
    """The line after `minute` minutes since `origin`; live from minute `live_from` on."""

    seed: int
    origin: datetime
    live_from: int
    minute: int = 0
    oven: Oven = field(default_factory=Oven)
    walks: Walks = field(default_factory=Walks)
    changes: tuple[SetPointChange, ...] = ()

    @property
    def until(self) -> datetime:
        """Return the instant of the last reading."""
        return self.instant(self.minute)

    @property
    def schedule(self) -> LineSchedule:
        """Return the programme of this line."""
        return LineSchedule(self.seed, self.live_from)

    def instant(self, minute: int) -> datetime:
        """Return the instant at which this minute begins."""
        return self.origin + minute * MINUTE

    def minutes_at(self, instant: datetime) -> int:
        """Return the whole minutes of the line that are over at an instant."""
        return (instant - self.origin) // MINUTE

    def hand_set(self, name: str, minute: int) -> SetPointChange | None:
        """Return the change by a person that is in force in this minute."""
        made = (
            c for c in reversed(self.changes) if c.variable == name and c.minute <= minute < c.until
        )
        return next(made, None)

    def setpoint(self, name: str, minute: int) -> float:
        """Return the set-point in this minute: a person's value while it is in force, else the
        crew's."""
        change = self.hand_set(name, minute)
        return change.value if change else self.schedule.crew_setpoint(name, minute)

    def setpoints(self) -> dict[str, float]:
        """Return the set-points of the next minute to compute."""
        return {name: self.setpoint(name, self.minute) for name in SET_POINTS}


@dataclass(frozen=True)
class LineAdvance:
    """Result of a simulation: readings and events to store, and the state afterwards."""

    rows: list[ReadingRow]
    events: list[EventRow]
    state: DemoLineState


def new_line(seed: int, origin: datetime, days: int) -> DemoLineState:
    """Return a line at its first instant, `days` before it goes live."""
    return DemoLineState(seed=seed, origin=origin, live_from=days * DAY)


def simulate(state: DemoLineState, until: int) -> LineAdvance:
    """Advance the line to minute `until`; an earlier or equal one changes nothing."""
    following = deepcopy(state)
    rows = [
        ReadingRow(ASSET, following.instant(m + 1), _minute(following, m))
        for m in range(state.minute, until)
    ]
    changes = tuple(c for c in state.changes if c.until > until)
    after = replace(following, minute=max(until, state.minute), changes=changes)
    return LineAdvance(rows, list(_events(state, until)), after)


def weigh(state: DemoLineState, until: int) -> list[ReadingRow]:
    """Return the readings of check-weigher, air filter and fan up to minute `until`."""
    rows = [
        ReadingRow(CHECKWEIGHER, state.instant(minute + 1), {WEIGHT: weight})
        for minute, weight in weights(state.schedule, state.minute, until)
    ]
    for asset, values_of in ((AIR_FILTER, pressure_drops), (EXHAUST_FAN, fan_values)):
        rows += [
            ReadingRow(asset, state.instant(minute + 1), values)
            for minute, values in values_of(state.schedule, state.minute, until)
        ]
    return rows


def causes(state: DemoLineState, span: timedelta) -> list[tuple[datetime, datetime, Disturbance]]:
    """Return the true disturbances of the last `span`, with begin and end."""
    first = max(0, state.minute - span // MINUTE)
    disturbances = state.schedule.disturbances(first, state.minute)
    for beside in (calibration_steps, cloggings, belt_slips):
        disturbances = [*disturbances, *beside(state.schedule, first, state.minute)]
    disturbances.sort(key=lambda d: d.start)
    return [(state.instant(d.start), state.instant(d.end), d) for d in disturbances]


def _minute(line: DemoLineState, minute: int) -> dict[str, float | str | bool]:
    chance = day_of_chance(line.seed, minute // DAY)
    of_day = minute % DAY
    _walk(
        line.walks,
        [float(x) for x in chance.walks[of_day, :4]],
        cleaned=line.schedule.maintenance(minute) is not None,
    )
    setpoints = {name: line.setpoint(name, minute) for name in SET_POINTS}
    conditions = _oven_conditions(line, minute, setpoints, chance)
    run_minute(line.oven, conditions)
    return _sense(_truth(line.oven, conditions, setpoints), chance, of_day)


def _walk(walks: Walks, steps: list[float], cleaned: bool) -> None:
    """Advance every walk by one minute; fouling only grows until it is cleaned."""
    air, dough, flour, fouling = steps
    walks.air += -walks.air / 600 + 0.18 * air
    walks.dough += -walks.dough / 200 + 0.025 * dough
    walks.flour += -walks.flour / 240 + 0.0008 * flour
    for zone, per_day in enumerate((0.015, 0.025, 0.015)):
        grown = walks.fouling[zone] + per_day / DAY * max(0.0, 1.0 + fouling)
        walks.fouling[zone] = 0.02 if cleaned else grown


def _oven_conditions(
    line: DemoLineState, minute: int, setpoints: dict[str, float], chance: DayOfChance
) -> OvenConditions:
    schedule = line.schedule
    walks = line.walks
    level = dict.fromkeys(("wet-dough", "burner-fault", "damp-air", "stuck-valve"), 0.0)
    level.update({d.cause: d.level(minute) for d in schedule.acting(minute)})
    faults = (0.0, level["burner-fault"], 0.0)
    return OvenConditions(
        setpoint=(
            setpoints["zone_1_setpoint"],
            setpoints["zone_2_setpoint"],
            setpoints["zone_3_setpoint"],
        ),
        belt=0.0 if schedule.stop(minute) else setpoints["belt_speed_setpoint"],
        dough=DOUGH_USUAL + DOUGH_BATCH * schedule.batch(minute) + walks.dough + level["wet-dough"],
        humidity=_humidity(walks.air, minute, level["damp-air"]),
        efficiency=_per_zone((1.0 - walks.fouling[z]) * (1.0 - faults[z]) for z in range(ZONES)),
        least_power=(0.0, level["stuck-valve"], 0.0),
        draught=_per_zone(0.25 * float(d) for d in chance.walks[minute % DAY, 4:]),
        flour=1.0 + walks.flour,
    )


def _per_zone(values: Iterable[float]) -> tuple[float, float, float]:
    first, second, third = values
    return first, second, third


def _humidity(walk: float, minute: int, damp: float) -> float:
    """Return the humidity of the supply air, %: dampest at six in the morning."""
    return min(98.0, max(15.0, AIR_USUAL + AIR_DAILY * sin(2 * pi * minute / DAY) + walk + damp))


def _truth(oven: Oven, conditions: OvenConditions, setpoints: dict[str, float]) -> dict[str, float]:
    """Return the values that perfect sensors would show; values of the product only if some came
    out."""
    truth = {f"zone_{z + 1}_temperature": oven.temperature[z] for z in range(ZONES)}
    truth |= {f"zone_{z + 1}_burner_power": 100.0 * oven.power[z] for z in range(ZONES)}
    truth |= {
        "belt_speed": oven.belt,
        "dough_moisture": oven.dough,
        "air_humidity": conditions.humidity,
    }
    if oven.moisture is not None and oven.colour is not None:
        truth |= {"moisture": oven.moisture, "colour": oven.colour}
    return truth | setpoints


def _sense(
    truth: dict[str, float], chance: DayOfChance, of_day: int
) -> dict[str, float | str | bool]:
    errors = chance.errors[of_day].tolist()
    gaps = chance.gaps[of_day].tolist()
    return {
        name: round(min(RANGES[name][1], max(RANGES[name][0], truth[name] + spread * errors[k])), 2)
        for k, (name, spread) in enumerate(SENSOR_ERRORS.items())
        if name in truth and gaps[k] >= GAP_SHARE
    }


def _events(state: DemoLineState, until: int) -> Iterator[EventRow]:
    schedule = state.schedule
    yield from (
        _make_lasting_event(state, "line-stop", stop, until)
        for stop in _condition_intervals(schedule.stop, state.minute, until)
    )
    yield from (
        _make_lasting_event(state, "maintenance", work, until)
        for work in _condition_intervals(schedule.maintenance, state.minute, until)
    )
    for change in state.changes:
        if state.minute <= change.minute < until:
            at = state.instant(change.minute)
            facts: dict[str, str | float | bool] = {
                "variable": change.variable,
                "value": change.value,
                "before": change.before,
                "actor": change.actor,
            }
            yield EventRow(ASSET, "set-point-change", at, at, change.actor, facts)


def _condition_intervals(
    interval_at: Callable[[int], tuple[int, int] | None], first: int, last: int
) -> list[tuple[int, int]]:
    """Return the intervals that touch [first - 1, last): also an interval that ends at `first`."""
    intervals = (interval_at(minute) for minute in range(max(0, first - 1), last))
    return sorted({interval for interval in intervals if interval is not None})


def _make_lasting_event(
    state: DemoLineState, type: str, interval: tuple[int, int], until: int
) -> EventRow:
    start, end = interval
    return EventRow(
        ASSET, type, state.instant(start), state.instant(end) if end <= until else None, SOURCE
    )
