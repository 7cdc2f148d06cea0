from datetime import timedelta

from alerting.console.access import Access
from alerting.usecases.access.people import disable_account, register_services
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

TOKEN = "token-of-a-gateway-0123456789"


def test_a_token_whose_account_was_read_a_moment_ago_is_read_again_after_a_second():
    platform = in_memory_platform()
    now = at(0)
    register_services(platform, {"gateway": "viewer"}, now)
    access = Access(platform, {TOKEN: ("gateway", "viewer")})
    person = access.find_by_token(TOKEN, now)
    assert person is not None
    assert person.name == "gateway"
    disable_account(platform, "gateway", "ada", now)
    soon = now + timedelta(milliseconds=999)
    assert access.find_by_token(TOKEN, soon) == person
    later = now + timedelta(seconds=1)
    assert access.find_by_token(TOKEN, later) is None
