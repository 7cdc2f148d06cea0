import numpy as np
import pytest

from alerting.readings.history import find_members, grade, why_no_quality

pytestmark = pytest.mark.fast


GRADES = [
    ("good", None, "good"),
    ("Uncertain", None, "uncertain"),
    ("BAD", None, "bad"),
    ("Bad, sensor failure", None, "bad"),
    ("BadSensorFailure", None, "bad"),
    ("Bad_NoCommunication", None, "bad"),
    ("UncertainLastUsableValue", None, "uncertain"),
    ("GoodLocalOverride", None, "good"),
    ("OK", None, "good"),
    ("OFL", None, "bad"),
    ("Ungültig", None, "bad"),
    ("questionable", None, "uncertain"),
    ("0x00000000", None, "good"),
    ("0x40900000", None, "uncertain"),
    ("0x808C0000", None, "bad"),
    ("2156658688", None, "bad"),
    ("-2138308608", None, "bad"),
    ("1083179008", None, "uncertain"),
    ("192", None, "good"),
    ("216", None, "good"),
    ("64", None, "uncertain"),
    ("24", None, "bad"),
    ("0", "opc-ua", "good"),
    ("0", "opc-da", "bad"),
    ("195", "opc-da", "good"),
    ("0", None, None),
    ("1", None, None),
    ("1024", None, None),
    ("128", None, None),
    ("99999999999", None, None),
    ("9999999999", "opc-ua", None),
    ("Badger", None, None),
    ("true", None, None),
    ("", None, None),
    ("0x", "opc-ua", None),
    ("1", "siemens", "uncertain"),
    ("3", "siemens", "good"),
    ("4", "siemens", None),
    ("0", "flag", "bad"),
    ("True", "flag", "good"),
    ("good", "flag", "good"),
]


def test_a_quality_is_understood_as_the_usual_systems_write_it_and_never_guessed():
    assert [(text, codes, grade(text, codes)) for text, codes, _ in GRADES] == GRADES


def test_what_is_not_understood_is_told_with_what_to_do():
    assert "0 is good there and bad here" in why_no_quality("0", None)
    assert "--quality-codes" in why_no_quality("1024", None)
    assert why_no_quality("dodgy", None).startswith(
        "'dodgy' is not a quality: write good, uncertain or bad"
    )
    assert why_no_quality("x" * 1000, None).startswith(f"'{'x' * 78}… is not a quality")
    assert "--quality-codes" not in why_no_quality("99999999999", "opc-da")


def test_instants_are_found_among_others():
    assert find_members(np.array([1, 2, 3, 9]), np.array([2, 9])).tolist() == [
        False,
        True,
        False,
        True,
    ]
    assert find_members(np.array([1, 2]), np.array([], np.int64)).tolist() == [False, False]
    assert find_members(np.array([], np.int64), np.array([1])).tolist() == []
