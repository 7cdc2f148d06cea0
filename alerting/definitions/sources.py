"""Kinds of sources, as one closed union by `kind`, and the parser of their documents, which names
every fault.

Installed packages add kinds by entry points, in the group `alerting.sources` or `alerting.sinks`:
name of the kind = `module:Model`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar, Union, get_args

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, create_model

from alerting.definitions.asset_documents import USUAL_LATENCY, LongerThanZero, VariableType
from alerting.definitions.faults import (
    Duration,
    Fault,
    MissingField,
    first_line,
    format_duration,
    name_hint,
    read_document,
    shown,
)
from alerting.definitions.file_form import FORM_FIELDS
from alerting.definitions.file_form import Fields as FormFields
from alerting.definitions.form_fields import FormField
from alerting.definitions.source_fields import (
    AmqpSource,
    MessageSource,
    MqttSource,
    OpcUaSource,
    Secret,
    SourceFields,
    StreamedSource,
    Text,
    Title,
)
from alerting.definitions.wording.fault_messages import model_faults
from alerting.definitions.wording.language import join_with_or

T = TypeVar("T")
PATH_FIELDS = ("known_hosts", "key")
"""Fields with a path on the host, by whatever kind; those of `tls` are, too."""
SERVED_PATH_FIELDS = ("pattern", "done", "bad")
"""Fields with a path at the server of the address, on the host without one."""
_log = logging.getLogger(__name__)


class KindUnion(Generic[T]):
    """All kinds of one document as a union. `built_in`: the platform's models; `base`: class from
    which the models of packages derive; `faults`: yields the faults of several fields together;
    `word`: what such a document is called."""

    def __init__(
        self,
        built_in: Mapping[str, type[BaseModel]],
        base: type[BaseModel],
        faults: Callable[[T], Iterator[Fault]],
        word: str,
    ) -> None:
        self._built_in = built_in
        self._base = base
        self._faults = faults
        self._word = word
        self._unusable: dict[str, str] = {}

    @cached_property
    def kinds(self) -> Mapping[str, type[BaseModel]]:
        """Return the models by kind, including those of installed packages, which are loaded once;
        a warning names each model that cannot be used."""
        models = dict(self._built_in)
        group = f"alerting.{self._word}s"
        for point in entry_points(group=group):
            try:
                model = point.load()
                reason = self._reason_against(point, model, models)
            except Exception as error:  # any content of a package
                reason = f"{type(error).__name__}: {first_line(error)}"
            if reason is None:
                models[point.name] = model
                continue
            package = point.dist.name if point.dist else point.value
            self._unusable[point.name] = f"the package {package} adds this kind, but {reason}"
            _log.warning("%s %s: %s", group, point.name, self._unusable[point.name])
        return models

    def _reason_against(
        self, point: EntryPoint, model: Any, models: Mapping[str, type[BaseModel]]
    ) -> str | None:
        """Return why the model of a package cannot be used; None if it can."""
        if point.name in models:
            return "there is a kind of this name already"
        if not (isinstance(model, type) and issubclass(model, self._base)):
            return f"{point.value} is no {self._base.__name__}"
        kind = model.model_fields.get("kind")
        if kind is None or get_args(kind.annotation) != (point.name,):
            return f"the field kind of {point.value} is not Literal[{point.name!r}]"
        if ":" not in getattr(model, "client", ""):
            return f"{point.value} names no client = 'module:Class'"
        return None

    @cached_property
    def adapter(self) -> TypeAdapter[T]:
        """Return the adapter of the closed union, which `kind` discriminates."""
        hint: Any = Annotated[
            Union[tuple(self.kinds.values())],  # noqa: UP007 - of models known when it runs
            Field(discriminator="kind"),
        ]
        return TypeAdapter(hint)

    def parse(self, document: Mapping[str, Any]) -> T:
        """Return the model of a document. Raises DocumentRefused with every fault."""
        return read_document(
            self.adapter.validate_python,
            document,
            self._word,
            lambda errors: [self._fault(error, document) for error in errors],
            self._faults,
        )

    def _fault(self, error: Any, document: Mapping[str, Any]) -> Fault:
        path = [str(part) for part in error["loc"] if part != "[key]"]
        path = path[1:] if path and path[0] in self.kinds else path
        match error["type"]:
            case "union_tag_not_found":
                kinds = join_with_or(*(f"kind: {kind}" for kind in self.kinds))
                return MissingField("kind", hint=f"write {kinds}")
            case "union_tag_invalid":
                kind = str(document.get("kind"))
                return Fault(
                    "kind",
                    f"{shown(document.get('kind'))} is not a kind",
                    self._unusable.get(kind) or name_hint(kind, self.kinds, "kinds"),
                )
        return model_faults([{**error, "loc": path}], self.kinds[document["kind"]].model_fields)[0]


def new_host_paths(document: object, before: object | None) -> list[str]:
    """Return the fields of a document that hold a new path on the host: one that the previous
    document, if any, does not have in the same field with the same kind and address."""
    used = {} if before is None else _host_paths(before)
    return [field for field, place in _host_paths(document).items() if used.get(field) != place]


def _host_paths(document: object) -> dict[str, tuple[object, ...]]:
    """Return kind, address and path of each field with a path on the host."""
    address = getattr(document, "url", None)
    fields = PATH_FIELDS + (SERVED_PATH_FIELDS if address is None else ())
    paths = {field: getattr(document, field, None) for field in fields}
    paths |= {f"tls.{field}": path for field, path in getattr(document, "tls", None) or ()}
    kind = getattr(document, "kind", None)
    return {field: (kind, address, path) for field, path in paths.items() if path is not None}


def kind_document(document: BaseModel) -> dict[str, Any]:
    """Return a document as people would write it: without fields at their default, but with its
    kind."""
    head = document.model_dump(mode="json", include={"name", "kind"})
    return head | document.model_dump(mode="json", exclude_defaults=True)


PolledBy = Literal["service", "scheduler"]
SHORTEST_SCHEDULED = timedelta(minutes=1)
"""Interval below which Airflow cannot read."""
LEASE_LASTS = timedelta(seconds=15)
"""Time without a renewal after which a lease is over: its holder was killed."""
Column = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]


class PolledFields(SourceFields):
    """Fields of the kinds that the platform reads by itself."""

    every: LongerThanZero = Field(
        timedelta(minutes=1),
        description=(
            "Interval at which the source is read, at least 5s; less than 1m by the service alone."
        ),
    )
    read_by: PolledBy | None = Field(
        None,
        description=(
            "service (the stream service) or scheduler (Airflow). When left out: the service "
            "below an interval of 1h, except with a secret of Airflow. The scheduler also "
            "reads what the service does not."
        ),
    )

    @property
    def reader(self) -> PolledBy:
        """Return which process reads the source, as stated or by default."""
        if self.read_by is not None:
            return self.read_by
        is_rare = self.every >= timedelta(hours=1)  # one task an hour is cheap
        return "scheduler" if is_rare or _is_known_to_airflow_only(self) else "service"

    @property
    def waits(self) -> timedelta | None:
        """Return its latency; by default its interval plus the platform's default latency."""
        return self.every + USUAL_LATENCY if self.latency is None else self.latency


class HttpSource(SourceFields):
    """Rows that programs send to the API: POST /api/v1/readings and /api/v1/events with
    ?source=NAME."""

    is_nested = True

    kind: Literal["http"]
    quality: Title | None = Field(
        "quality",
        description=(
            "Field with the quality of all samples of a row, or with an object of qualities by "
            "variable."
        ),
    )


class _FilesSource(PolledFields):
    """Files that appear in a folder, on this machine or at a server: CSV, workbooks or Parquet,
    each read once."""

    kind: Literal["files"]
    url: Secret | None = Field(
        None,
        description=(
            "Where its address is found, e.g. sftp://user:password@host or "
            "s3://KEY:SECRET@?endpoint_url=https://minio:9000; files of this machine when "
            "left out."
        ),
    )
    known_hosts: Text | None = Field(
        None,
        description="File with the host key of an SFTP server; ~/.ssh/known_hosts when left out.",
    )
    key: Text | None = Field(
        None,
        description=(
            "File with the private key, which only its owner may read; a password when left out."
        ),
    )
    pattern: Text = Field(
        description=(
            "Absolute path with * and ?, e.g. /data/line-3/*.csv; in an object store "
            "/bucket/line-3/*.csv."
        )
    )
    done: Text | None = Field(
        None,
        description=(
            "Folder to which files are moved once they are stored; they stay when left out."
        ),
    )
    bad: Text | None = Field(
        None,
        description=(
            "Folder to which files are moved that cannot be stored; they stay when left out."
        ),
    )
    unchanged_for: Duration = Field(
        timedelta(seconds=10),
        description="A file that was changed less than this ago waits.",
    )
    bad_lines: Literal["refuse", "skip"] = Field(
        "refuse", description="A file with a bad line: refuse it whole, or store the other lines."
    )


_TYPES: Mapping[str, Any] = {
    "exact": Title | None,
    "line": Annotated[int, Field(ge=0, le=1_000_000)] | None,
    "switch": bool,
    "names": Annotated[tuple[Title, ...], Field(max_length=10_000)],
    "texts": Annotated[tuple[Title, ...], Field(max_length=100)],
    "types": Annotated[dict[Title, VariableType], Field(max_length=10_000)],
}
"""The type of a field of a source by its kind; of any other it is a title."""


def source_fields(fields: FormFields = FORM_FIELDS) -> dict[str, Any]:
    """Return the type and declaration of the fields by which a source of files states the form of
    its files, of those that sources of other kinds do not have."""
    by_name = {
        name: declared
        for declared in fields.values()
        if (name := declared.source.rstrip(":")) and "." not in name
    }
    return {
        name: (
            _source_type(name, declared),
            Field(declared.default, description=declared.help),
        )
        for name, declared in by_name.items()
        if name not in PolledFields.model_fields
    }


def _source_type(name: str, declared: FormField) -> Any:
    if declared.values:
        values: Any = Literal[declared.values]
        return values if declared.default else values | None
    of_one = Annotated[str, StringConstraints(pattern="^(.|tab)$")] | None
    return _TYPES.get(declared.kind, of_one if name == "separator" else Title | None)


if TYPE_CHECKING:

    class FilesSource(_FilesSource):
        """With the fields that state the form of the files."""
else:
    FilesSource = create_model(
        "FilesSource", __base__=_FilesSource, __doc__=_FilesSource.__doc__, **source_fields()
    )


class SqlSource(PolledFields):
    """Rows of a table or query in a database, read on from an increasing column."""

    kind: Literal["sql"]
    url: Secret = Field(
        description=("Where its address is found, e.g. postgresql://user:password@host/name.")
    )
    table: Title | None = Field(None, description="Table or view to read, e.g. quality.results.")
    query: Text | None = Field(
        None,
        description=(
            "One SELECT to read instead of a table, without ORDER BY and without a semicolon "
            "except at its end."
        ),
    )
    cursor: Column = Field(
        description="Column that only increases with later rows: a number or an instant."
    )
    overlap: LongerThanZero | None = Field(
        None,
        description=(
            "With a cursor of instants: rows this far behind the last one are read again."
        ),
    )
    chunk: int = Field(5000, ge=2, le=50_000, description="Rows that are read and stored at once.")


Streamed = MqttSource | AmqpSource | OpcUaSource
Source = HttpSource | FilesSource | SqlSource | Streamed
KINDS: Mapping[str, type[SourceFields]] = {
    "http": HttpSource,
    "files": FilesSource,
    "sql": SqlSource,
    "mqtt": MqttSource,
    "amqp": AmqpSource,
    "opcua": OpcUaSource,
}
POLLED = tuple(kind for kind, model in KINDS.items() if issubclass(model, PolledFields))


def source_kinds() -> Mapping[str, type[BaseModel]]:
    """Return the models of all kinds of sources, including those that installed packages add."""
    return SOURCE_UNION.kinds


def _cross_faults(source: Source) -> Iterator[Fault]:
    if isinstance(source, PolledFields):
        yield from _reader_faults(source)
    names = [variable.name for variable in source.variables.values() if variable.name]
    yield from (
        Fault("variables", f"two columns become {name!r}", "give each its own name")
        for name in sorted({name for name in names if names.count(name) > 1})
    )
    yield from source.path_faults()
    if isinstance(source, FilesSource):
        yield from _file_faults(source)
    if isinstance(source, SqlSource) and (source.table is None) == (source.query is None):
        yield Fault("table", "give either a table or a query", "table: quality.results")
    if isinstance(source, SqlSource) and ";" in (source.query or "").rstrip("; \t\r\n"):
        hint = (
            "write one SELECT; in PostgreSQL and Oracle chr(59) is the character ; in a text, "
            "elsewhere char(59)"
        )
        yield Fault("query", "has more than one statement", hint)
    if isinstance(source, StreamedSource):
        yield from source.faults()
    address = None if isinstance(source, HttpSource) else source.url
    if address is not None and len(address.model_dump(exclude_none=True)) != 1:
        yield Fault(
            "url", "give one of env, file, airflow_connection", "url: {env: QUALITY_DB_URL}"
        )


SOURCE_UNION: KindUnion[Source] = KindUnion(KINDS, StreamedSource, _cross_faults, "source")
parse_source = SOURCE_UNION.parse


def _reader_faults(source: PolledFields) -> Iterator[Fault]:
    every = f"{format_duration(source.every)} is too short"
    if source.every < timedelta(seconds=5):
        yield Fault("every", every, "the shortest is 5s, read by the service")
    elif source.every < SHORTEST_SCHEDULED and source.reader == "scheduler":
        yield Fault(
            "every", f"{every} for the scheduler", "the shortest is 1m; less needs read_by: service"
        )
    if source.read_by == "service" and _is_known_to_airflow_only(source):
        yield Fault(
            "read_by",
            "the service cannot read a secret of Airflow",
            "url: {env: QUALITY_DB_URL}, or read_by: scheduler",
        )


def _is_known_to_airflow_only(source: PolledFields) -> bool:
    """Return whether the address of a source is a connection that only Airflow knows."""
    url = getattr(source, "url", None)
    return url is not None and url.airflow_connection is not None


def _file_faults(source: FilesSource) -> Iterator[Fault]:
    for field in ("pattern", "done", "bad"):
        path = getattr(source, field)
        if path is not None and (not path.startswith("/") or "/../" in f"{path}/"):
            yield Fault(
                field,
                f"{shown(path)} is not an absolute path",
                "write for example /data/line-3/*.csv",
            )
    for field in ("known_hosts", "key"):
        if source.url is None and getattr(source, field) is not None:
            yield Fault(
                field, "is of a server, and the source names none", "url: {env: LAB_FILES_URL}"
            )


def faults_when_applied(source: Source) -> Iterator[Fault]:
    """Yield faults for which a stored source goes on: folders that are read again, and a JSON
    message whose value for the topic's variable is not named."""
    yield from _folder_faults(source)
    if (
        isinstance(source, MessageSource)
        and source.payload == "json"
        and source.is_named_by_topic
        and source.value is None
    ):
        yield Fault(
            "value",
            "is missing: which field of a message is the value of the topic's {variable}?",
            "value: value, or payload: value for messages that are one value",
        )


def _folder_faults(source: Source) -> Iterator[Fault]:
    """Yield faults of the folders `done` and `bad` if the pattern matches files in them: moved
    files would be read again."""
    if not isinstance(source, FilesSource):
        return
    levels = source.pattern.split("/")[:-1]
    for field in ("done", "bad"):
        path = getattr(source, field)
        names = path.rstrip("/").split("/") if path is not None else []
        if len(names) == len(levels) and all(map(level_matches, names, levels)):
            yield Fault(
                field,
                f"{shown(path)} is a folder in which the pattern matches files",
                "name a folder that it leaves out",
            )


OWNED = "~$"
"""How a file begins that Excel keeps beside a workbook while it is open."""


def level_matches(name: str, level: str) -> bool:
    """Return whether a level of a pattern matches a name; a name with a leading dot only matches a
    level with one, the mark of an open workbook none."""
    is_hidden = name.startswith(".") and not level.startswith(".")
    return fnmatchcase(name, level) and not is_hidden and not name.startswith(OWNED)
