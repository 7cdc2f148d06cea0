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
    folder.mkdir(exist_ok=True)
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


def test_a_person_signs_in_over_https_and_another_certificate_is_not_trusted(
    address, pair, tmp_path
):
    trust = ssl.create_default_context(cafile=str(pair[0]))
    named = {"host": "plant-7.example"}
    with httpx.Client(base_url=address, verify=trust, headers=named, trust_env=False) as browser:
        assert 'name="password"' in browser.get("/login").text
        answer = browser.post("/login", data={"name": "anna", "password": PASSWORD})
        assert (answer.status_code, "Secure" in answer.headers["set-cookie"]) == (303, True)
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as stranger:
        stranger.get(f"{address}/login")
    other, key = make_certificate("plant-7.example", tmp_path / "other")
    health = f"{address}/api/v1/health"  # the check of the start trusts this certificate alone
    assert [answers(health, tls_cert=cert)() for cert in (pair[0], other)] == [True, False]
    with pytest.raises(UserError, match="cannot be used for HTTPS"):
        tls_options(pair[0], key)
    assert tls_options(None, None) == {}


def test_certificate_and_key_are_set_together(tmp_path):
    pair = make_certificate("plant-7.example", tmp_path)
    home = {"ALERTING_HOME": str(tmp_path / "home")}
    both = {"ALERTING_TLS_CERT": str(pair[0]), "ALERTING_TLS_KEY": str(pair[1])}
    assert read_settings(home | both).api_address == "https://127.0.0.1:8000"
    for given in ({"ALERTING_TLS_CERT": str(pair[0])}, {"ALERTING_TLS_KEY": "/no/such/file"}):
        with pytest.raises(SettingsRefused, match="TLS"):
            read_settings(home | given)
