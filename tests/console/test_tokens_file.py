import json

import pytest

from alerting.console.access import read_tokens
from alerting.definitions.faults import UserError

pytestmark = pytest.mark.fast

GOOD = {"a-long-enough-token": {"name": "anna", "role": "operator"}}


def written(path, document, mode=0o600):
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    path.chmod(mode)
    return path


def test_tokens_are_read_with_name_and_role(tmp_path):
    assert read_tokens(written(tmp_path / "t.json", GOOD)) == {
        "a-long-enough-token": ("anna", "operator")
    }


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    with pytest.raises(UserError, match="chmod 600"):
        read_tokens(written(tmp_path / "t.json", GOOD, mode))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "at least one token"),
        ([], "at least one token"),
        ("{", "Expecting"),
        ({"short": {"name": "anna", "role": "operator"}}, "at least 16"),
        (
            {"a-long-enough-token": {"name": "anna", "role": "boss"}},
            "'boss' is not one of sender, viewer, operator",
        ),
        ({"a-long-enough-token": {"name": "anna"}}, "must have an owner"),
        ({"a-long-enough-token": {"name": "", "role": "viewer"}}, "must have an owner"),
        (
            {"a-long-enough-token": {"name": "MongoDB", "role": "viewer"}},
            "'MongoDB' is one by which the platform itself acts",
        ),
        ({"a-long-enough-token": "anna"}, "must have an owner"),
    ],
)
def test_a_faulty_file_is_refused_without_repeating_a_token(tmp_path, document, words):
    with pytest.raises(UserError, match=words) as refusal:
        read_tokens(written(tmp_path / "t.json", document))
    assert "a-long-enough-token" not in str(refusal.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_tokens(tmp_path / "none.json")
