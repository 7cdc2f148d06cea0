"""Where the parts of a platform are: read once from the environment, all faults reported together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerting.definitions.alarm_budget import AlarmBudget
from alerting.definitions.faults import Fault, UserError
from alerting.settings.alarm_budget import read_alarm_budget
from alerting.settings.delivery import Delivery, read_delivery
from alerting.settings.home import find_home

PREFIX = "ALERTING_"
WEBHOOK_PREFIX = "ALERTING_WEBHOOK_"
SECRET_SUFFIX = "_SECRET"  # noqa: S105 - the ending of a variable's name, not a secret
LOOPBACK = "127.0.0.1"
THIS_MACHINE = (LOOPBACK, "::1")
UTC = ZoneInfo("UTC")

T = TypeVar("T")


class SettingsRefused(UserError):
    """The environment has faults; nothing was started."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("the settings are refused:\n" + "\n".join(f"  - {f}" for f in faults))


@dataclass(frozen=True)
class Settings:
    """Each field is the environment variable `ALERTING_<FIELD>`; `read_settings` says what is accepted.

    `home` holds everything that is kept (databases, artifacts, logs, secrets) and is absolute. `mongodb_uri` and
    `mlflow_uri` name servers of your own; without them the embedded ones are used. The ports are those of the parts that
    `alerting up` starts, all on the loopback address. `demo_speed` is how many seconds of the demo line pass in one second.
    `max_training_rows` is the most rows of one training; None for what half of the machine's memory holds. `timezone` (IANA)
    is the plant's: the pages of the console show their times in it. `trusted_proxies` are the addresses and networks of proxies
    whose word on a client's address and scheme is taken. `budget` is what operators may be asked to answer
    (`alarm_budget_settings`).
    `webhook_urls` come from `ALERTING_WEBHOOK_<NAME>`, `webhook_secrets` (for signing) from `ALERTING_WEBHOOK_<NAME>_SECRET`;
    names are lower case with `_` turned into `-`. `delivery` is all the rest of how messages leave.
    """

    home: Path
    mongodb_uri: str | None = field(default=None, repr=False)
    database: str = "alerting"
    mlflow_uri: str | None = None
    mongodb_port: int = 27027
    mlflow_port: int = 5050
    airflow_port: int = 8080
    api_port: int = 8000
    demo_speed: float = 10.0
    max_training_rows: int | None = None
    timezone: ZoneInfo = UTC
    trusted_proxies: tuple[str, ...] = THIS_MACHINE
    webhook_urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    webhook_secrets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    delivery: Delivery = field(default_factory=Delivery)
    budget: AlarmBudget = field(default_factory=AlarmBudget)

    @property
    def mlflow_database(self) -> str:
        """The embedded MLflow store, for use without its server."""
        return f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    @property
    def mlflow_artifacts(self) -> Path:
        """Where the embedded MLflow keeps its artifacts."""
        return self.home / "mlflow" / "artifacts"

    @property
    def place(self) -> str:
        """Where what is written goes, in words and without passwords."""
        if self.mongodb_uri is None:
            return f"the platform in {self.home}"
        hosts = self.mongodb_uri.partition("://")[2].partition("/")[0].rpartition("@")[2]
        return f"the database {self.database} at {hosts}"

    @property
    def ports(self) -> dict[str, int]:
        """Ports that `alerting up` will listen on, by the name of their setting."""
        ports = {"mlflow_port": self.mlflow_port, "airflow_port": self.airflow_port, "api_port": self.api_port}
        if self.mongodb_uri is None:
            ports["mongodb_port"] = self.mongodb_port
        if self.mlflow_uri is not None:
            del ports["mlflow_port"]
        return ports


def variable(setting: str) -> str:
    """The environment variable of a setting: `api_port` gives `ALERTING_API_PORT`."""
    return PREFIX + setting.upper()


def read_settings(environ: Mapping[str, str], last: bool = True) -> Settings:
    """Read `ALERTING_*`; unset and empty variables mean the default. Raises SettingsRefused naming every fault.

    The home is that of `find_home`; without `last` the user's last `alerting up` does not count.
    """
    faults: list[Fault] = []
    defaults = Settings(home=find_home(environ, Path.cwd(), last))

    def read(setting: str, parse: Callable[[str], T], default: T) -> T:
        text = environ.get(variable(setting), "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as fault:
            faults.append(Fault(variable(setting), str(fault)))
            return default

    urls, secrets = _webhooks(environ, faults)
    settings = Settings(
        home=defaults.home,
        mongodb_uri=read("mongodb_uri", _mongodb_uri, None),
        database=read("database", _database, defaults.database),
        mlflow_uri=read("mlflow_uri", _mlflow_uri, None),
        mongodb_port=read("mongodb_port", _port, defaults.mongodb_port),
        mlflow_port=read("mlflow_port", _port, defaults.mlflow_port),
        airflow_port=read("airflow_port", _port, defaults.airflow_port),
        api_port=read("api_port", _port, defaults.api_port),
        demo_speed=read("demo_speed", _speed, defaults.demo_speed),
        max_training_rows=read("max_training_rows", _rows, None),
        timezone=read("timezone", _timezone, defaults.timezone),
        trusted_proxies=read("trusted_proxies", _proxies, defaults.trusted_proxies),
        webhook_urls=urls,
        webhook_secrets=secrets,
        delivery=read_delivery(environ, faults),
        budget=read_alarm_budget(environ, faults),
    )
    faults.extend(_shared_ports(settings.ports))
    if faults:
        raise SettingsRefused(faults)
    return settings


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ValueError(f"{text!r} is no port: give a whole number from 1 to 65535")
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 100_000:
        raise ValueError(f"{text!r} is no speed: give seconds of the line per second, above 0 and at most 100000")
    return speed


def _rows(text: str) -> int:
    if not text.isdecimal() or not 1_000 <= int(text) <= 1_000_000_000:
        raise ValueError(f"{text!r} is no number of rows: give a whole number from 1000 to 1000000000")
    return int(text)


def _timezone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text!r} is no time zone: give an IANA name such as Europe/Berlin") from None


def _proxies(text: str) -> tuple[str, ...]:
    if text.lower() == "none":
        return ()
    given = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in given:
        try:
            ip_network(part)
        except ValueError:
            raise ValueError(f"{part!r} is neither an address nor a network: give e.g. 10.0.0.5,172.18.0.0/16, or none") from None
    return given


def _database(text: str) -> str:
    if not text.replace("-", "_").isidentifier() or len(text) > 60:
        raise ValueError(f"{text!r} is no database name: use letters, digits, `_` and `-`")
    return text


def _mongodb_uri(text: str) -> str:
    if not text.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("no MongoDB address: it starts with mongodb:// or mongodb+srv://")
    return text


def _mlflow_uri(text: str) -> str:
    if urlsplit(text).scheme not in {"http", "https", "sqlite", "postgresql", "postgresql+psycopg2"}:
        raise ValueError("no MLflow address: it starts with http://, https://, sqlite:// or postgresql://")
    return text


def _webhooks(environ: Mapping[str, str], faults: list[Fault]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    urls: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for key in sorted(environ):
        text = environ[key].strip()
        if not key.startswith(WEBHOOK_PREFIX) or not text:
            continue
        name = key.removeprefix(WEBHOOK_PREFIX)
        if name.endswith(SECRET_SUFFIX):
            secrets[_channel(name.removesuffix(SECRET_SUFFIX))] = text
        elif urlsplit(text).scheme in {"http", "https"} and urlsplit(text).hostname:
            urls[_channel(name)] = text
        else:
            faults.append(Fault(key, "no webhook address: it starts with http:// or https:// and names a host"))
    return MappingProxyType(urls), MappingProxyType(secrets)


def _channel(name: str) -> str:
    return name.lower().replace("_", "-")


def _shared_ports(ports: Mapping[str, int]) -> list[Fault]:
    first: dict[int, str] = {}
    faults = []
    for setting, port in ports.items():
        if other := first.get(port):
            faults.append(Fault(variable(setting), f"port {port} is already given to {variable(other)}"))
        first.setdefault(port, setting)
    return faults
