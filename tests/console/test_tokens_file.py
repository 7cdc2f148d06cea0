import json

import pytest

from alerting.console.access import read_tokens
from alerting.definitions.faults import UserError

pytestmark = pytest.mark.fast

TOKEN = "a-long-enough-token"
GOOD = {TOKEN: {"name": "anna", "role": "operator"}}
REFUSED = [
    ({}, 0o600, "at least one token"),
    ([], 0o600, "at least one token"),
    ("{", 0o600, "Expecting"),
    ({"short": {"name": "anna", "role": "operator"}}, 0o600, "at least 16"),
    ({TOKEN: {"name": "anna", "role": "boss"}}, 0o600, "'boss' is not one of sender, viewer, oper"),
    ({TOKEN: {"name": "anna"}}, 0o600, "must have an owner"),
    ({TOKEN: {"name": "", "role": "viewer"}}, 0o600, "must have an owner"),
    ({TOKEN: "anna"}, 0o600, "must have an owner"),
    (
        {TOKEN: {"name": "MongoDB", "role": "viewer"}},
        0o600,
        "'MongoDB' is one by which the platform itself acts",
    ),
    *((GOOD, mode, "chmod 600") for mode in (0o640, 0o604, 0o644, 0o660)),
]


def answer_to(file, document, mode=0o600):
    """Return what a file with this content has, or why it is refused."""
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    file.chmod(mode)
    try:
        return read_tokens(file)
    except UserError as refusal:
        return str(refusal)


def test_tokens_are_read_with_name_and_role_and_a_faulty_file_is_refused(tmp_path):
    file = tmp_path / "t.json"
    assert answer_to(file, GOOD) == {TOKEN: ("anna", "operator")}
    answers = [(answer_to(file, document, mode), words) for document, mode, words in REFUSED]
    assert [(answer, words) for answer, words in answers if words not in answer] == []
    assert [answer for answer, _ in answers if TOKEN in answer] == []  # repeats no token
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_tokens(tmp_path / "none.json")
