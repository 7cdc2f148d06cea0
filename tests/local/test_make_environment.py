import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

PATH = Path(__file__).parents[2] / "tools" / "make_environment.py"
spec = importlib.util.spec_from_file_location("make_environment", PATH)
make_environment = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_environment)


def test_uv_looks_where_pip_is_told_to_look():
    pip = {
        "index-url": "https://packages.example/simple",
        "extra-index-url": "https://one.example/simple https://two.example/simple",
        "find-links": "/wheels /more",
        "cert": "/etc/ca.pem",
        "timeout": "180",
    }
    assert make_environment.uv_settings(pip, {}) == {
        "UV_DEFAULT_INDEX": "https://packages.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


def test_what_uv_is_told_itself_goes_before():
    pip = {"index-url": "https://packages.example/simple"}
    assert make_environment.uv_settings(pip, {"UV_DEFAULT_INDEX": "https://other.example"}) == {}


def test_without_settings_of_pip_uv_gets_none():
    assert make_environment.uv_settings({}, {}) == {}


def test_what_a_machine_lacks_is_said_before_anything_is_downloaded():
    assert make_environment.describe_missing(lambda _: True, has_installer=True) == ""
    without_ssl = make_environment.describe_missing(
        lambda name: "ssl" not in name, has_installer=False
    )
    assert without_ssl == (
        "this machine lacks libssl.so.3, pip: install it first (Debian and Ubuntu: "
        "apt-get install libssl3 python3-pip)"
    )


def test_a_library_is_asked_of_the_loader():
    assert make_environment.can_load("libc.so.6")
    assert not make_environment.can_load("libnone.so.9")
