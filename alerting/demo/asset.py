"""The demo line for the platform: one asset, its variables, and the types of its events."""

from datetime import timedelta

from alerting.definitions.asset_documents import Asset, EventType, Relation, Variable

ASSET = "oven-1"
MINUTE = timedelta(minutes=1)

# Set-points of the recipe: zones in °C, belt in m/min.
NOMINAL = {
    "zone_1_setpoint": 205.0,
    "zone_2_setpoint": 225.0,
    "zone_3_setpoint": 215.0,
    "belt_speed_setpoint": 8.0,
}

SET_POINTS = tuple(NOMINAL)

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
