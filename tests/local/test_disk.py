from collections import namedtuple

import pytest

from alerting.definitions.faults import UserError
from alerting.local import up as disk
from alerting.local.up import up
from alerting.settings.environment import Settings

pytestmark = pytest.mark.fast

Usage = namedtuple("Usage", "total used free")


def with_free(monkeypatch, size):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10 * size, 9 * size, size))


def test_too_little_room_is_refused_with_the_bound_and_what_to_do(monkeypatch, tmp_path):
    with_free(monkeypatch, disk.LEAST - 1)
    with pytest.raises(
        UserError,
        match=(
            r"too little space .* 2\.0 GiB are free, at least 2\.0 GiB are needed; .* "
            r"ALERTING_HOME"
        ),
    ):
        disk.check_space(tmp_path / "not" / "made" / "yet")


def test_little_room_is_said_and_enough_is_not(monkeypatch, tmp_path):
    with_free(monkeypatch, disk.LEAST)
    assert "only 2.0 GiB are free" in (disk.check_space(tmp_path) or "")
    with_free(monkeypatch, disk.SCANT)
    assert disk.check_space(tmp_path) is None


def test_up_starts_nothing_where_there_is_too_little_room(monkeypatch, tmp_path, capfd):
    with_free(monkeypatch, 100 << 20)
    monkeypatch.setattr("alerting.local.up.check_ports", lambda _: None)
    # a guard kills everything below its process
    monkeypatch.setattr("alerting.local.up.run_guarded", lambda work: work())
    assert up(Settings(home=tmp_path / "home"), {}, demo=True) == 1
    assert "refused: there is too little space" in capfd.readouterr().out
    assert not (tmp_path / "home" / "mongod").exists()
