"""Physics of the oven: heat in three zones, and biscuits that dry on their way through.

Units: minutes, metres, °C, m/min; moisture in % of the wet biscuit; powers and efficiencies as
shares of one. Equations and constants are explained in docs/demo-line.md. All of it is scalar
arithmetic in a fixed order: the same inputs give the same bits.
"""

from dataclasses import dataclass, field
from math import exp

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

    `parcels` are in the oven, `cooling` behind it. `moisture` and `colour` are those of the
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
    wanted = integral + GAIN * error
    if (wanted < 1.0 or error < 0.0) and (wanted > 0.0 or error > 0.0):
        oven.integral[zone] = integral
    oven.power[zone] = min(1.0, max(conditions.least_power[zone], wanted))


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
        left = OVEN_LENGTH - parcel.position
        time = DT if move <= left else DT * left / move
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
