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
    told = {"UV_DEFAULT_INDEX": "https://other.example"}
    assert make_environment.uv_settings({"index-url": pip["index-url"]}, told) == {}
    assert make_environment.uv_settings({}, {}) == {}


def test_with_a_folder_of_wheels_no_index_is_asked(tmp_path):
    wheels = tmp_path / "a plant's wheels"
    assert make_environment.offline_settings(wheels) == {}
    wheels.mkdir()
    settings = make_environment.offline_settings(wheels)
    pip = {"no-index": "1", "find-links": settings["PIP_FIND_LINKS"]}
    assert make_environment.uv_settings(pip, {}) == {
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": wheels.as_uri(),
    }


def test_what_a_machine_lacks_is_said_before_anything_is_downloaded():
    assert make_environment.can_load("libc.so.6")
    assert make_environment.describe_missing(lambda _: True, has_installer=True) == ""
    without_ssl = make_environment.describe_missing(
        lambda name: "ssl" not in name, has_installer=False
    )
    assert without_ssl == (
        "this machine lacks libssl.so.3, pip: install it first (Debian and Ubuntu: "
        "apt-get install libssl3 python3-pip)"
    )
