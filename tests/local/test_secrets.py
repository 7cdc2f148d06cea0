import json
import stat

import pytest

from alerting.console.access import read_tokens
from alerting.definitions.faults import UserError
from alerting.local.secrets import load_or_create

pytestmark = pytest.mark.fast


def test_secrets_are_made_once_and_only_their_owner_may_read_them(tmp_path):
    folder = tmp_path / "secrets"
    made = load_or_create(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    again = load_or_create(folder)
    assert vars(again) == vars(made)


def test_no_two_installations_share_a_secret(tmp_path):
    one = load_or_create(tmp_path / "one")
    two = load_or_create(tmp_path / "two")
    assert not set(one.api_tokens.values()) & set(two.api_tokens.values())
    assert one.airflow_jwt != two.airflow_jwt
    assert one.airflow_password != two.airflow_password


def test_the_api_reads_the_tokens_file_as_it_is_made(tmp_path):
    secrets = load_or_create(tmp_path)
    assert read_tokens(secrets.tokens_file) == {
        token: (role, role) for role, token in secrets.api_tokens.items()
    }
    assert set(secrets.api_tokens) == {"viewer", "operator", "engineer", "admin", "sender"}


def test_airflow_reads_the_password_as_it_is_shown(tmp_path):
    secrets = load_or_create(tmp_path)
    assert json.loads(secrets.airflow_passwords_file.read_text()) == {
        "admin": secrets.airflow_password
    }


def test_a_secret_that_others_may_read_is_refused(tmp_path):
    load_or_create(tmp_path)
    (tmp_path / "airflow_jwt").chmod(0o644)
    with pytest.raises(UserError, match=r"chmod 600 .*airflow_jwt"):
        load_or_create(tmp_path)


def test_secrets_do_not_show_in_tracebacks_and_logs(tmp_path):
    secrets = load_or_create(tmp_path)
    assert secrets.airflow_password not in repr(secrets)
