"""Units of files beside those of variables: converted, of another quantity, or not known."""

import pytest

from alerting.readings.unit_conversion import (
    Conversion,
    OtherQuantity,
    UnknownUnit,
    relate_units,
)

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("written", "declared", "value", "expected"),
    [
        ("g", "kg", 1234.0, 1.234),
        ("kg", "g", 1.5, 1500.0),
        ("°F", "°C", 212.0, 100.0),
        ("degC", "K", 20.0, 293.15),
        ("mbar", "bar", 950.0, 0.95),
        ("psi", "bar", 14.5, 0.999740),
        ("l/min", "m³/h", 100.0, 6.0),
        ("m3/h", "l/s", 3.6, 1.0),
        ("mg/m³", "g/m3", 7.0, 0.007),
        ("kmh", "m/s", 36.0, 10.0),
        ("%", "1", 40.0, 0.4),
        ("kWh", "MJ", 1.0, 3.6),
        ("U/min", "rpm", 5.0, None),
        ("Nm", "J", 5.0, None),
        ("L/min", "l/min", 5.0, None),
        ("degC", "°C", 5.0, None),
        ("%rH", "%", 5.0, None),
        ("% RH", "%rH", 5.0, None),
        ("Nm/s", "W", 5.0, None),
        ("°C/min", "K/min", 5.0, None),
        ("kOhm", "Ω", 5.0, 5000.0),
        ("cfm", "m³/h", 1.0, 1.699011),
        ("mmH2O", "Pa", 1.0, 9.80665),
        ("s-1", "1/min", 1.0, 60.0),
        ("mK", "°C", 293150.0, 20.0),
    ],
)
def test_known_units_of_one_quantity_are_converted(written, declared, value, expected):
    relation = relate_units(written, declared)
    if expected is None:
        assert relation is None, "the same unit, written otherwise"
        return
    assert isinstance(relation, Conversion)
    assert relation.convert(value) == pytest.approx(expected, rel=1e-6)
    assert relation.revert(relation.convert(value)) == pytest.approx(value)


def test_a_thousandth_is_exact_to_the_last_digit():
    assert relate_units("g", "kg").convert(1234.0) == 1.234


def test_units_of_different_quantities_and_unknown_ones_are_never_converted():
    assert relate_units("°C", "kg") == OtherQuantity("°C", "kg")
    unknown = [("Stk", "kg"), ("C", "°C"), ("rpm", "Hz"), ("psig", "bar"), ("9**9**9", "kg")]
    unknown += [("rH", "%"), ("dB", "1"), ("C/min", "K/min"), ("T/h", "t/h"), ("kt/h", "t/h")]
    unknown += [("Nm³/h", "m³/h"), ("l/m", "l/min"), ("m", "min"), ("slpm", "l/min")]
    unknown += [
        ("Tm^9*Tm^9*Tm^9", "nm^9*nm^9*nm^9"),
        ("nm^9*nm^9*nm^9*nm^9", "Tm^9*Tm^9*Tm^9*Tm^9"),
    ]
    assert [relate_units(*units) for units in unknown] == [UnknownUnit(*u) for u in unknown]
    assert [relate_units(*units) for units in (("g", None), (None, "g"), ("g", "g"))] == [None] * 3
