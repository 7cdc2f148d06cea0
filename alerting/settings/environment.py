"""Settings of a platform: read once from the environment, with all faults reported together."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parseaddr
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerting.definitions.asset_documents import USUAL_LATENCY
from alerting.definitions.faults import LONGEST, Fault, UserError, parse_duration
from alerting.definitions.platform_limits import (
    AlarmBudget,
    GateMode,
    HealthLimits,
    Retention,
)
from alerting.definitions.wording.language import LANGUAGES, LanguageCode
from alerting.settings.environment_variables import (
    SecretRules,
    Variables,
    address,
    bounded,
    checked,
    listed,
    one_of,
    port_number,
    positive_number,
    read_private_file,
    read_secret_rules,
    whole_number,
)
from alerting.settings.home_folder import find_home, home_errors, load_or_create_key, read_key

EMAIL_PREFIX = "ALERTING_EMAIL_"
NTFY_PREFIX = "ALERTING_NTFY_"
TOKEN_SUFFIX = "_TOKEN"  # noqa: S105 - the ending of a variable's name, not a secret
Tls = Literal["starttls", "tls", "none"]
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
_nothing: Callable[[], Mapping[str, str]] = partial(MappingProxyType, {})
_slack_url = address(
    {"http", "https"},
    "not an incoming webhook of Slack: it starts with https:// and names a host, as in "
    "https://hooks.slack.com/services/…",
)
_teams_url = address(
    {"http", "https"},
    "not the address of a workflow of Teams: it starts with https:// and names a host, as the "
    'workflow "When a Teams webhook request is received" shows it',
)


@dataclass(frozen=True)
class Smtp:
    """The mail server. The password, in a private file or the environment, needs TLS."""

    host: str
    port: int
    tls: Tls
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    ca_file: Path | None = None

    def read_password(self) -> str | None:
        """Return the password, as given or from its file.

        Raises UserError if the file cannot be read, or others may read it.
        """
        if self.password_file is None:
            return self.password
        named = f"ALERTING_SMTP_PASSWORD_FILE {self.password_file}"
        return read_private_file(self.password_file, named)


@dataclass(frozen=True)
class Delivery:
    """Settings of messages, with their variables.

    `ALERTING_SMTP_HOST`, `_PORT`, `_TLS`, `_FROM`, `_USER`, `_PASSWORD_FILE` or `_PASSWORD`,
    `_CA_FILE`; one address per `ALERTING_EMAIL_<NAME>`, `ALERTING_SLACK_<NAME>`,
    `ALERTING_TEAMS_<NAME>` and `ALERTING_NTFY_<NAME>` (with `_TOKEN`);
    `ALERTING_EGRESS_ALLOW`; `ALERTING_PUBLIC_URL` and
    `ALERTING_LINK_KEY_FILE` for feedback links.
    """

    smtp: Smtp | None = None
    emails: Mapping[str, str] = field(default_factory=_nothing)
    slack_urls: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    teams_urls: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    ntfy_urls: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    ntfy_tokens: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    egress_allow: tuple[str, ...] = ()
    public_url: str | None = None
    link_key_file: Path | None = None

    @property
    def has_chats(self) -> bool:
        """Return whether there is a channel of Slack, Teams or ntfy."""
        return bool(self.slack_urls or self.teams_urls or self.ntfy_urls)


def read_delivery(variables: Variables) -> Delivery:
    """Return the settings of messages."""
    smtp = _read_smtp(variables)
    emails = variables.read_group(EMAIL_PREFIX, _address, "")
    if variables.names(EMAIL_PREFIX) and smtp is None:
        variables.add_fault(
            "ALERTING_SMTP_HOST", "is missing: e-mail needs the mail server and ALERTING_SMTP_FROM"
        )
    return Delivery(
        smtp=smtp,
        emails=emails,
        slack_urls=variables.read_group("ALERTING_SLACK_", _slack_url, ""),
        teams_urls=variables.read_group("ALERTING_TEAMS_", _teams_url, ""),
        ntfy_urls=variables.read_group(NTFY_PREFIX, _ntfy_url, "", leave_out=TOKEN_SUFFIX),
        ntfy_tokens=variables.read_group(NTFY_PREFIX, _token, "", TOKEN_SUFFIX),
        egress_allow=variables.read("ALERTING_EGRESS_ALLOW", lambda text: listed(text.lower()), ()),
        public_url=variables.read("ALERTING_PUBLIC_URL", _public_url, None),
        link_key_file=variables.read("ALERTING_LINK_KEY_FILE", Path, None),
    )


def _read_smtp(variables: Variables) -> Smtp | None:
    host = variables.text("ALERTING_SMTP_HOST")
    if not host:
        return None
    tls: Tls = variables.read("ALERTING_SMTP_TLS", one_of(get_args(Tls)), "starttls")
    sender = variables.text("ALERTING_SMTP_FROM")
    if not _is_address(sender):
        variables.add_fault(
            "ALERTING_SMTP_FROM", "not an e-mail address: give the address of the sender"
        )
    user = variables.text("ALERTING_SMTP_USER") or None
    if user and tls == "none":
        variables.add_fault(
            "ALERTING_SMTP_TLS",
            "a password needs TLS: choose starttls or tls, or leave the user out",
        )
    return Smtp(
        host=host,
        port=variables.read(
            "ALERTING_SMTP_PORT", port_number, {"starttls": 587, "tls": 465, "none": 25}[tls]
        ),
        tls=tls,
        sender=sender,
        user=user,
        password=variables.environ.get("ALERTING_SMTP_PASSWORD") or None,  # blanks may belong to it
        password_file=variables.read("ALERTING_SMTP_PASSWORD_FILE", Path, None),
        ca_file=variables.read("ALERTING_SMTP_CA_FILE", Path, None),
    )


def _is_address(text: str) -> bool:
    _, address = parseaddr(text)
    name, _, host = address.rpartition("@")
    return bool(name and host) and text.isprintable() and "," not in text


_address = checked(_is_address, "not an e-mail address; give one address, e.g. shift@plant.example")
_token = checked(
    lambda text: text.isascii() and text.isprintable() and " " not in text,
    "not a token: give an access token of ntfy, which begins with tk_",
)


def _ntfy_url(text: str) -> str:
    refusal = "not a topic of ntfy: give server and topic, as in https://ntfy.sh/line-3-x7Gq2"
    parts = urlsplit(address({"http", "https"}, refusal)(text))
    if not parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(refusal)
    return text


def _public_url(text: str) -> str:
    refusal = "not an address: give the address of the console, e.g. https://alerting.plant.example"
    parts = urlsplit(address({"http", "https"}, refusal)(text))
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        raise ValueError(refusal)
    return text.rstrip("/")


PREFIX = "ALERTING_"
WEBHOOK_PREFIX = "ALERTING_WEBHOOK_"
SECRET_SUFFIX = "_SECRET"  # noqa: S105 - the ending of a variable's name, not a secret
LOOPBACK = "127.0.0.1"
LINK_KEY = "feedback_link_key"
MODEL_KEY = "model_key"
UTC = ZoneInfo("UTC")

_LEAST = 1e-9  # of numbers above 0
_speed = bounded(
    positive_number,
    _LEAST,
    100_000,
    " is not a speed: give seconds of the line per second, above 0 and at most 100000",
)
_mlflow_uri = address(
    {"http", "https", "sqlite", "postgresql", "postgresql+psycopg2"},
    "not an MLflow address: it starts with http://, https://, sqlite:// or postgresql://",
    needs_host=False,
)
_airflow_uri = address(
    {"http", "https"}, "not an Airflow address: it starts with http:// or https:// and names a host"
)
_webhook_url = address(
    {"http", "https"}, "not a webhook address: it starts with http:// or https:// and names a host"
)
_latency = bounded(
    parse_duration,
    timedelta(0),
    timedelta(hours=1),
    ": evaluation waits 1h at most; readings that come later than that are evaluated again",
)
_slots = bounded(whole_number, 1, 64, " is not a number of tasks: give a whole number from 1 to 64")
_tasks = bounded(
    whole_number, 1, 256, " is not a number of tasks: give a whole number from 1 to 256"
)
_rows = bounded(
    whole_number,
    1_000,
    1_000_000_000,
    " is not a number of rows: give a whole number from 1000 to 1000000000",
)
BUDGET = "ALERTING_ALARM_BUDGET"
_alarms = bounded(
    positive_number,
    _LEAST,
    100_000,
    " is not a number of alarms a day: give one above 0, e.g. 144",
)
lasting = bounded(
    parse_duration,
    timedelta(days=14),
    LONGEST,
    ": what is older is deleted; give a duration from 14d to 3650d",
)
_duration = bounded(
    parse_duration,
    timedelta(minutes=1),
    timedelta(days=365),
    ": give a duration from 1m to 365d",
)


_FIXED = ("notifications", "predictions")  # lengths that no setting changes
_LEFT = {
    "ALERTING_ARCHIVE_AFTER": "say by ALERTING_READINGS_LAST how long readings stay, e.g. 3650d",
    "ALERTING_NOTIFICATIONS_LAST": "notifications stay 90 days after the end of their episode; "
    "save older ones by `alerting backup` of the version before",
    "ALERTING_PREDICTIONS_LAST": "scores of predict jobs stay 14 days; copy the folder predictions "
    "of the home if older ones are needed",
}
"""Settings that kept documents; without them the next night deletes these."""


def _timezone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{text!r} is not a time zone: give an IANA name such as Europe/Berlin"
        ) from None


def _proxies(text: str) -> tuple[str, ...]:
    if text.lower() == "none":
        return ()
    addresses = listed(text)
    for part in addresses:
        try:
            ip_network(part)
        except ValueError:
            raise ValueError(
                f"{part!r} is neither an address nor a network: give e.g. 10.0.0.5,172.18.0.0/16, "
                "or none"
            ) from None
    return addresses


def _file(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise ValueError(f"{text!r} is not a file")
    return path


def _database(text: str) -> str:
    if not text.replace("-", "_").isidentifier() or len(text) > 60:
        raise ValueError(f"{text!r} is not a database name: use letters, digits, `_` and `-`")
    return text


_mongodb_uri = checked(
    lambda text: text.startswith(("mongodb://", "mongodb+srv://")),
    "not a MongoDB address: it starts with mongodb:// or mongodb+srv://",
)


class SettingsRefused(UserError):
    """Error: the environment has faults; no process was started."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("the settings have faults:\n" + "\n".join(f"  - {f}" for f in faults))


def usual_slots() -> int:
    """Return how many tasks of one queue may run at once by default: one per core, at most
    eight."""
    return min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class Settings:
    """Settings: each field is the environment variable `ALERTING_<FIELD>`, read by the function in
    its annotation.

    `home` is the absolute folder of databases, artifacts, logs and secrets. `mongodb_uri` and
    `mlflow_uri` name servers of your own; without them the embedded ones are used. `airflow_uri`:
    of an Airflow that `alerting up` does not start, over which `apply` starts trainings at once.
    The ports are those of the parts that `alerting up` starts, all on the loopback address.
    `demo_speed` is the number of seconds of the demo line per second of real time.
    `max_training_rows` is the most rows of one training; None for the number that fits into half of
    the machine's memory. `background_slots` is the number of tasks of trainings and reports that
    run at the same time, `evaluation_slots` that of evaluation, into which a tick is divided; both
    on all workers together. `triggerer`: 1 if `alerting up` starts Airflow's triggerer, for DAGs
    of others. `timezone` (IANA) is the plant's: the pages of the console show their
    times in it. `language` is that of messages, and of pages for browsers that ask for
    none of the platform's. `trusted_proxies` are the addresses and networks of proxies whose
    statement of a client's address and scheme is trusted. `tls_cert` and `tls_key`: certificate and
    key (PEM) with which the API and the pages are served by HTTPS. `directory`: the document of the
    proxy by which people sign in. `latency`: how long evaluation waits for a variable without a
    latency of its own. `budget` is the operators' alarm budget (`ALERTING_ALARM_GATE`: refuse, warn
    or off;
    `ALERTING_ALARM_BUDGET` alarms a day, and `ALERTING_ALARM_BUDGET_<POSITION>` at one position).
    `health_limits` are those beyond which the platform raises alerts about itself
    (`ALERTING_EVALUATION_LATE`, `_SOURCE_STALE`). `retention` is how long documents are stored
    (`ALERTING_READINGS_LAST` and others). `model_key_file` is the file of the key of model hashes
    in a shared registry (None: in the home). `notification_log`: file of the channel `log` (None:
    in the home, and standard output on named servers). `secret_rules` are the environment variables
    and folders that sources may name (`ALERTING_SECRET_NAMES`, `_FOLDERS`). `webhook_urls` come
    from `ALERTING_WEBHOOK_<NAME>`, `webhook_secrets` (for signing) from
    `ALERTING_WEBHOOK_<NAME>_SECRET`; names are lower case with `_` turned into `-`. `delivery`
    holds all other settings of messages.
    """

    home: Path
    mongodb_uri: Annotated[str | None, _mongodb_uri] = field(default=None, repr=False)
    database: Annotated[str, _database] = "alerting"
    mlflow_uri: Annotated[str | None, _mlflow_uri] = None
    airflow_uri: Annotated[str | None, _airflow_uri] = None
    mongodb_port: Annotated[int, port_number] = 27027
    mlflow_port: Annotated[int, port_number] = 5050
    airflow_port: Annotated[int, port_number] = 8080
    api_port: Annotated[int, port_number] = 8000
    demo_speed: Annotated[float, _speed] = 10.0
    max_training_rows: Annotated[int | None, _rows] = None
    background_slots: Annotated[int, _slots] = field(default_factory=usual_slots)
    evaluation_slots: Annotated[int, _tasks] = field(default_factory=usual_slots)
    triggerer: Annotated[
        int, bounded(whole_number, 0, 1, " is neither 0 nor 1, which starts Airflow's triggerer")
    ] = 0
    timezone: Annotated[ZoneInfo, _timezone] = UTC
    language: Annotated[LanguageCode, one_of(LANGUAGES)] = "en"
    trusted_proxies: Annotated[tuple[str, ...], _proxies] = (LOOPBACK, "::1")
    tls_cert: Annotated[Path | None, _file] = None
    tls_key: Annotated[Path | None, _file] = None
    directory: Annotated[Path | None, _file] = None
    latency: Annotated[timedelta, _latency] = USUAL_LATENCY
    model_key_file: Annotated[Path | None, Path] = None
    notification_log: Annotated[Path | None, Path] = None
    webhook_urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    webhook_secrets: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    delivery: Delivery = field(default_factory=Delivery)
    budget: AlarmBudget = field(default_factory=AlarmBudget)
    health_limits: HealthLimits = field(default_factory=HealthLimits)
    retention: Retention = field(default_factory=Retention)
    secret_rules: SecretRules = field(default_factory=SecretRules)

    @property
    def api_address(self) -> str:
        """Return the address of the API and the pages on this machine."""
        scheme = "http" if self.tls_cert is None else "https"
        return f"{scheme}://{LOOPBACK}:{self.api_port}"

    @property
    def mlflow_database(self) -> str:
        """Return the address of the embedded MLflow store, for use without its server."""
        return f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    @property
    def mlflow_artifacts(self) -> Path:
        """Return the folder of the artifacts of the embedded MLflow."""
        return self.home / "mlflow" / "artifacts"

    def read_model_key(self) -> bytes:
        """Return the key of model hashes in a shared registry; empty for the embedded registry.
        Raises UserError like `read_key`."""
        if self.mlflow_uri is None:
            return b""
        return self._read_key("model_key_file", self.model_key_path)

    def read_link_key(self) -> bytes:
        """Return the key of feedback links. Raises UserError like `read_key`."""
        return self._read_key("link_key_file", self.link_key_path)

    def _read_key(self, setting: str, path: Path) -> bytes:
        with home_errors(self.home):
            if self.mongodb_uri is None:
                return load_or_create_key(path)
            return read_key(path, variable(setting))

    @property
    def model_key_path(self) -> Path:
        """Return the file of the key of model hashes."""
        return self.model_key_file or self.home / "secrets" / MODEL_KEY

    @property
    def link_key_path(self) -> Path:
        """Return the file of the key of feedback links."""
        return self.delivery.link_key_file or self.home / "secrets" / LINK_KEY

    @property
    def notification_file(self) -> Path | None:
        """Return the file of the channel `log`; None for standard output."""
        if self.notification_log is None and self.mongodb_uri is not None:
            return None
        return self.notification_log or self.home / "logs" / "notifications.log"

    @property
    def location(self) -> str:
        """Return a description, without passwords, of the location to which commands write."""
        if self.mongodb_uri is None:
            return f"the platform in {self.home}"
        hosts = self.mongodb_uri.partition("://")[2].partition("/")[0].rpartition("@")[2]
        return f"the database {self.database} at {hosts}"

    @property
    def ports(self) -> dict[str, int]:
        """Return the ports that `alerting up` will listen on, by the name of their setting."""
        ports = {
            "mlflow_port": self.mlflow_port,
            "airflow_port": self.airflow_port,
            "api_port": self.api_port,
        }
        if self.mongodb_uri is None:
            ports["mongodb_port"] = self.mongodb_port
        if self.mlflow_uri is not None:
            del ports["mlflow_port"]
        return ports


_PARSERS: dict[str, Callable[[str], Any]] = {
    n: h.__metadata__[0]
    for n, h in get_type_hints(Settings, include_extras=True).items()
    if get_origin(h) is Annotated
}
"""The function that reads the variable of a setting, for each setting that is one variable."""


def variable(setting: str) -> str:
    """Return the environment variable of a setting: `api_port` gives `ALERTING_API_PORT`."""
    return PREFIX + setting.upper()


def read_settings(environ: Mapping[str, str], last: bool = True) -> Settings:
    """Return the settings in `ALERTING_*`; unset and empty variables mean the default. Raises
    SettingsRefused naming every fault.

    `find_home` finds the home; without `last` it ignores the user's last `alerting up`.
    """
    variables = Variables(environ)
    defaults = Settings(home=find_home(environ, Path.cwd(), last))
    usual = defaults.budget
    plain = {
        name: variables.read(variable(name), parse, getattr(defaults, name))
        for name, parse in _PARSERS.items()
    }
    settings = Settings(
        home=defaults.home,
        **plain,
        webhook_urls=variables.read_group(
            WEBHOOK_PREFIX, _webhook_url, "", leave_out=SECRET_SUFFIX
        ),
        webhook_secrets=variables.read_group(WEBHOOK_PREFIX, str, "", SECRET_SUFFIX),
        delivery=read_delivery(variables),
        budget=AlarmBudget(
            mode=variables.read("ALERTING_ALARM_GATE", one_of(get_args(GateMode)), "refuse"),
            per_day=variables.read(BUDGET, _alarms, usual.per_day),
            by_position=variables.read_group(f"{BUDGET}_", _alarms, usual.per_day),
        ),
        health_limits=HealthLimits(
            evaluation_late=variables.read(
                "ALERTING_EVALUATION_LATE", _duration, defaults.health_limits.evaluation_late
            ),
            source_stale=variables.read(
                "ALERTING_SOURCE_STALE", _duration, defaults.health_limits.source_stale
            ),
        ),
        retention=read_retention(variables),
        secret_rules=read_secret_rules(variables),
    )
    _check_ports(settings.ports, variables)
    if (settings.tls_cert is None) != (settings.tls_key is None):
        missing = "tls_key" if settings.tls_key is None else "tls_cert"
        variables.add_fault(variable(missing), "is missing: certificate and key are given together")
    if variables.faults:
        raise SettingsRefused(variables.faults)
    return settings


def _check_ports(ports: Mapping[str, int], variables: Variables) -> None:
    first: dict[int, str] = {}
    for setting, port in ports.items():
        if owner := first.get(port):
            variables.add_fault(
                variable(setting), f"port {port} is already given to {variable(owner)}"
            )
        first.setdefault(port, setting)


def read_retention(variables: Variables) -> Retention:
    """Return the retention stated by `ALERTING_READINGS_LAST`, `_SCORES_LAST`, `_REPORTS_LAST`,
    `_AUDIT_LAST` and `_MODELS_LAST`. A setting that left, and kept documents, is a fault."""
    for name in filter(variables.text, _LEFT):
        variables.add_fault(name, f"is no setting any more: {_LEFT[name]}; then remove it")
    lengths = {
        name: variables.read(f"ALERTING_{name.upper()}_LAST", lasting, last)
        for name, last in vars(Retention()).items()
        if name not in _FIXED
    }
    return Retention(**lengths)
