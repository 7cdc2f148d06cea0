"""Checks of source documents beside each other and beside what is stored."""

import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import parse_source
from alerting.usecases.sources.documents import check_sources

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("pattern", "done", "is_refused"),
    [
        ("/data/lab/*.csv", "/data/lab", True),
        ("/data/*/*.csv", "/data/done/", True),
        ("/data/*/*.csv", "/data/.done", False),
        ("/data/lab/*.csv", "/data/lab/done", False),
        ("/data/lab/in/*.csv", "/data/lab", False),
    ],
)
def test_a_folder_of_stored_files_in_which_the_pattern_matches_is_refused(
    pattern, done, is_refused
):
    document = {"name": "lab", "kind": "files", "pattern": pattern, "done": done, "bad": done}
    if not is_refused:
        assert check_sources([document])
        return
    with pytest.raises(UserError) as refusal:
        check_sources([document])
    assert all(f"{field}: " in str(refusal.value) for field in ("done", "bad"))
    assert parse_source(document)  # one that is stored goes on
