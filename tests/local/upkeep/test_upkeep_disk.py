"""Upkeep on a disk that is full or not writable: a sentence instead of a traceback, and room
again."""

import errno
from pathlib import Path

import pytest

from alerting.definitions.faults import UserError
from alerting.local import clean
from alerting.local.backup import disk_errors

pytestmark = pytest.mark.fast


def test_a_backup_that_cannot_be_written_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    refused = pytest.raises(
        UserError,
        match=r"the backup is not complete: .*file.*: Not a directory; name another folder",
    )
    with refused, disk_errors("the backup is not complete", "name another folder"):
        (tmp_path / "file" / "backup").mkdir()


def test_a_long_log_is_emptied_also_where_its_end_finds_no_room(tmp_path, monkeypatch):
    def full(path, _):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(clean, "LONGEST_LOG", 4)
    monkeypatch.setattr(clean, "SHORTENED_LOG", 2)
    monkeypatch.setattr(Path, "write_bytes", full)
    log = tmp_path / "mongod.log"
    log.write_text("a long log")
    clean.shorten(log)
    clean.shorten(tmp_path / "none.log")
    assert log.stat().st_size == 0
