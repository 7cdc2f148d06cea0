"""The console by HTTPS with a certificate of its own, as a browser and `alerting up` meet it."""

import ssl
import subprocess
from datetime import UTC, datetime

import httpx
import pytest

from alerting.console.server import tls_options
from alerting.definitions.faults import UserError
from alerting.local.parts import answers
from alerting.settings.environment import SettingsRefused, read_settings
from tests.helpers.console.people import PASSWORD, app_of, person_on
from tests.helpers.console.server import serving_thread

pytestmark = pytest.mark.server


def make_certificate(name, folder):
    """Write a certificate for a name of this machine, and its key; return both."""
    cert = folder / "cert.pem"
    key = folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    words += ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", cert]
    words += ["-addext", f"subjectAltName=DNS:{name},DNS:localhost"]
    subprocess.run(words, check=True, capture_output=True)
    return cert, key


@pytest.fixture
def pair(tmp_path):
    return make_certificate("plant-7.example", tmp_path)


@pytest.fixture
def address(platform, pair):
    def now():
        return datetime.now(UTC)

    person_on(platform, now())
    with serving_thread(app_of(platform, now), **tls_options(*pair)) as port:
        yield f"https://localhost:{port}"


def test_a_person_signs_in_over_https_and_the_cookie_stays_there(address, pair):
    trust = ssl.create_default_context(cafile=str(pair[0]))
    with httpx.Client(base_url=address, verify=trust, trust_env=False, timeout=60) as browser:
        named = {"host": "plant-7.example"}
        assert 'name="password"' in browser.get("/login", headers=named).text
        given = {"name": "anna", "password": PASSWORD}
        answer = browser.post("/login", data=given, headers=named)
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]


def test_another_certificate_is_not_trusted_and_the_start_check_trusts_this_one(
    address, pair, tmp_path
):
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as stranger:
        stranger.get(f"{address}/login")
    assert answers(f"{address}/api/v1/health", tls_cert=pair[0])()
    (tmp_path / "other").mkdir()
    other, _ = make_certificate("plant-7.example", tmp_path / "other")
    assert not answers(f"{address}/api/v1/health", tls_cert=other)()


def test_a_key_of_another_certificate_is_refused_at_the_start(pair, tmp_path):
    (tmp_path / "other").mkdir()
    _, other = make_certificate("plant-8.example", tmp_path / "other")
    with pytest.raises(UserError, match="cannot be used for HTTPS"):
        tls_options(pair[0], other)
    assert tls_options(None, None) == {}


def test_certificate_and_key_are_set_together(pair, tmp_path):
    home = {"ALERTING_HOME": str(tmp_path / "home")}
    settings = read_settings(
        home | {"ALERTING_TLS_CERT": str(pair[0]), "ALERTING_TLS_KEY": str(pair[1])}
    )
    assert settings.api_address == "https://127.0.0.1:8000"
    for given in ({"ALERTING_TLS_CERT": str(pair[0])}, {"ALERTING_TLS_KEY": "/no/such/file"}):
        with pytest.raises(SettingsRefused, match="TLS"):
            read_settings(home | given)
