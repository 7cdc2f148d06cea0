import json
import stat

import pytest

from alerting.console.access import read_tokens
from alerting.definitions.faults import UserError
from alerting.local.prepare import load_or_create

pytestmark = pytest.mark.fast


def test_secrets_are_made_once_and_only_their_owner_may_read_them(tmp_path):
    made = load_or_create(tmp_path / "secrets")
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in made.folder.iterdir()} == {0o600}
    assert vars(load_or_create(tmp_path / "secrets")) == vars(made)
    assert made.airflow_password not in repr(made)
    another = load_or_create(tmp_path / "another")
    assert not set(another.api_tokens.values()) & set(made.api_tokens.values())
    assert another.airflow_jwt != made.airflow_jwt
    assert another.airflow_password != made.airflow_password


def test_the_api_and_airflow_read_the_secrets_as_they_are_shown(tmp_path):
    secrets = load_or_create(tmp_path)
    roles = {"viewer", "operator", "engineer", "admin", "sender"}
    tokens = {token: (role, role) for role, token in secrets.api_tokens.items()}
    assert (read_tokens(secrets.tokens_file), set(secrets.api_tokens)) == (tokens, roles)
    passwords = json.loads(secrets.airflow_passwords_file.read_text())
    assert passwords == {"admin": secrets.airflow_password}


def test_a_secret_that_others_may_read_is_refused(tmp_path):
    load_or_create(tmp_path)
    (tmp_path / "airflow_jwt").chmod(0o644)
    with pytest.raises(UserError, match=r"chmod 600 .*airflow_jwt"):
        load_or_create(tmp_path)
