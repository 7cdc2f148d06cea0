"""A real OpenID provider in a process of its own: Django with django-oauth-toolkit.

`python -m tests.helpers.console.django_provider FOLDER PORT REDIRECT` serves anna (of the group
engineers) until it is ended. POST /rotate signs with a new key from then on, the old one stays
known; POST /withdraw forgets the old one.
"""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.helpers.console.chromium import wait_until
from tests.support import local_client

NAME = "tests.helpers.console.django_provider"
ROOT = Path(__file__).parents[3]

CLIENT = "alerting"
SECRET = "a secret of the provider and of this client"
PASSWORD = "correct horse battery"


@contextmanager
def running_provider(folder, port, public_url):
    """Start the provider; yield its issuer."""
    issuer = f"http://localhost:{port}/o"
    command = [sys.executable, "-m", NAME, str(folder), str(port), public_url]
    with (folder / "provider.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or _answers(issuer))
        assert process.poll() is None, (folder / "provider.log").read_text()
        yield issuer
    finally:
        process.terminate()
        process.wait(30)


def _answers(issuer):
    try:
        return local_client().get(f"{issuer}/.well-known/openid-configuration").status_code == 200
    except httpx.HTTPError:
        return False


LOGIN = (
    '<form method="post">{% csrf_token %}{{ form.as_p }}<button id="enter">Log in</button></form>'
)


def new_key():
    from joserfc.jwk import RSAKey

    return RSAKey.generate_key(2048).as_pem(private=True).decode()


def configure(folder, port):
    from django.conf import settings

    settings.configure(
        SECRET_KEY="of a test",
        ALLOWED_HOSTS=["localhost"],
        ROOT_URLCONF=NAME,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        LOGIN_URL="/accounts/login/",
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "provider.db")}
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        (
                            "django.template.loaders.locmem.Loader",
                            {"registration/login.html": LOGIN},
                        ),
                        "django.template.loaders.app_directories.Loader",
                    ]
                },
            }
        ],
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": f"http://localhost:{port}/o",
            "OIDC_RSA_PRIVATE_KEY": new_key(),
            "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
            "OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT": False,
            "PKCE_REQUIRED": True,
            "ALLOWED_SCHEMES": ["http", "https"],
            "SCOPES": {"openid": "who you are", "profile": "your name"},
            "OAUTH2_VALIDATOR_CLASS": f"{NAME}.validator",
        },
    )


def validator(*args, **named):
    """Return the validator, made late because Django must be set up before."""
    from oauth2_provider.oauth2_validators import OAuth2Validator

    class WithGroups(OAuth2Validator):
        oidc_claim_scope = None

        def get_additional_claims(self, request):
            user = request.user
            return {
                "preferred_username": user.username,
                "name": user.get_full_name(),
                "groups": [group.name for group in user.groups.all()],
            }

    return WithGroups(*args, **named)


def urls():
    from django.contrib.auth.views import LoginView
    from django.http import HttpResponse
    from django.urls import include, path
    from django.views.decorators.csrf import csrf_exempt
    from oauth2_provider.settings import oauth2_settings

    @csrf_exempt
    def rotate(_):
        oauth2_settings.OIDC_RSA_PRIVATE_KEYS_INACTIVE = [oauth2_settings.OIDC_RSA_PRIVATE_KEY]
        oauth2_settings.OIDC_RSA_PRIVATE_KEY = new_key()
        return HttpResponse("rotated")

    @csrf_exempt
    def withdraw(_):
        oauth2_settings.OIDC_RSA_PRIVATE_KEYS_INACTIVE = []
        return HttpResponse("withdrawn")

    return [
        path("accounts/login/", LoginView.as_view()),
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        path("rotate", rotate),
        path("withdraw", withdraw),
    ]


def fill(public_url):
    from django.contrib.auth.models import Group, User
    from oauth2_provider.models import Application

    anna = User.objects.create_user("anna", password=PASSWORD, first_name="Anna", last_name="Berg")
    anna.groups.add(Group.objects.create(name="engineers"))
    Application.objects.create(
        client_id=CLIENT,
        client_secret=SECRET,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris=f"{public_url}/login/directory/back",
        post_logout_redirect_uris=f"{public_url}/login",
        algorithm=Application.RS256_ALGORITHM,
        skip_authorization=True,
    )


def main(folder, port, public_url):
    sys.modules[NAME] = sys.modules["__main__"]
    configure(Path(folder), port)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    fill(public_url)
    global urlpatterns  # noqa: PLW0603 - Django reads it from the module that it is told
    urlpatterns = urls()
    from django.core.servers.basehttp import run
    from django.core.wsgi import get_wsgi_application

    run("127.0.0.1", int(port), get_wsgi_application(), threading=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
