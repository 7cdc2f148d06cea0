"""The unit of systemd, which runs a platform without a person."""

import configparser
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast
UNIT = Path(__file__).parents[3] / "config" / "systemd" / "alerting.service"
PROGRAM = "/opt/alerting/.venv/bin/alerting"


def test_the_unit_starts_the_platform_as_a_user_of_its_own_who_can_gain_no_rights():
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str
    found.read(UNIT, encoding="utf-8")
    service = found["Service"]
    assert service["ExecStart"].split() == [PROGRAM, "up", "--no-demo"]
    assert service["User"] not in ("", "root")
    confined = ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "RestrictSUIDSGID")
    assert {name: service[name] for name in confined} == dict.fromkeys(confined, "yes")
    bounds = ("CapabilityBoundingSet", "ProtectSystem", "UMask")
    assert [service[name] for name in bounds] == ["", "strict", "0077"]
    home = re.search(r"ALERTING_HOME=(\S+)", service["Environment"])[1]
    assert home.startswith(f"/var/lib/{service['StateDirectory']}/")
