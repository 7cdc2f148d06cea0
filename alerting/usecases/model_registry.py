"""Registered models. The hash of every file is stored in the platform's database, and compared
before the file is read.

Others may have write access to the registry. A model whose files differ from the registered ones is
not read. An ONNX file is an artefact for other runtimes, which the platform itself never reads.
"""

import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from alerting.definitions.alert_definition import Definition, ModelDefinition, fixed_threshold
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError, first_line, shown
from alerting.definitions.wording.language import translatable
from alerting.kinds.normal_definition import NormalDefinition
from alerting.kinds.protocol import GraphKind
from alerting.kinds.registry import trained_kind_of
from alerting.ports import (
    MOST_MODEL_BYTES,
    DecisionRecord,
    Decisions,
    Files,
    ModelFileCache,
    Models,
    ModelUnavailable,
    RegistryPorts,
    TrainingRuns,
)
from alerting.ports.use_cases import id_logger

if TYPE_CHECKING:
    from alerting.kinds.normal_operation import NormalModel
    from alerting.learning.features.set_point_effects import SetPointEffects
    from alerting.learning.models.trained import TrainedModel

_KEYED = "hmac-sha256"
_log = id_logger(__name__)
EVIDENCE = "evidence"
_MOST_BYTES = 1 << 20  # of one file


class RegisteredFiles(NamedTuple):
    """The files of a version, and their hashes as they were stored at its registration."""

    files: Files
    hashes: Mapping[str, str]


def register_model(
    platform: RegistryPorts,
    definition: str,
    run_id: str,
    files: Files,
    tags: Mapping[str, str],
    inputs: Mapping[str, str],
) -> int:
    """Register model files as the next version and store their hashes; the same run registers once.
    Idempotent.

    The hashes are stored before the files are sent, so that a crash in between loses nothing: a
    repeated registration of a run adds its own hashes, and the registry stores the files of one
    attempt. Raises UserError if the files are larger than a version may be.
    """
    size = sum(len(data) for data in files.values())
    if size > MOST_MODEL_BYTES:
        raise UserError(
            translatable(
                "the model of {definition} and its refit have {size} MiB together, {most} MiB are "
                "allowed; set periods.refit: none, or choose other learning.candidates",
                definition=shown(definition),
                size=size >> 20,
                most=MOST_MODEL_BYTES >> 20,
            )
        )
    platform.decisions.expect_files(
        definition, run_id, file_hashes(definition, files, platform.model_key)
    )
    version = platform.models.register(definition, run_id, files, tags, inputs)
    platform.decisions.bind_files(definition, run_id, version)
    return version


def search_run(tags: Mapping[str, str]) -> str:
    """Return the training run that found the parameters of a registered version; for a refreshed
    version, the run of its twin."""
    return tags.get("search_run", tags["training_run"])


def file_hashes(definition: str, files: Files, key: bytes) -> dict[str, str]:
    """Return the hash of each file by name, with its method: either of the bytes only, or keyed and
    together with the definition and the name."""
    return {
        name: f"{_method(key)}:{_hash(definition, name, data, key)}" for name, data in files.items()
    }


def _method(key: bytes) -> str:
    """Return the hash method, with a name of its key, so that a lost key is detected."""
    return f"{_KEYED}/{hashlib.sha256(key).hexdigest()[:8]}" if key else "sha256"


def _hash(definition: str, name: str, data: bytes, key: bytes) -> str:
    if not key:
        return hashlib.sha256(data).hexdigest()
    digest = hmac.new(key, f"{definition}\0{name}\0".encode(), hashlib.sha256)
    digest.update(data)
    return digest.hexdigest()


def load_model(platform: RegistryPorts, definition: Definition, version: int) -> "TrainedModel":
    """Return a registered model, from the cache of its files or from the registry, read by the kind
    of its definition.

    Raises ModelUnavailable with the reason for any fault of its files or the registry.
    """
    stored = registered_hashes(platform.decisions, definition.name, version)
    files, _ = registered_files(platform, definition.name, version, stored)
    return parse_model(definition, version, files)


def registered_hashes(decisions: Decisions, definition: str, version: int) -> list[dict[str, str]]:
    """Return the hashes that were stored at the registration of a version. Raises ModelUnavailable
    without any."""
    stored = decisions.file_hashes(definition, version)
    if not stored:
        raise ModelUnavailable(
            f"no hash of version {version} was stored at its registration; train the model again"
        )
    return stored


def registered_files(
    platform: RegistryPorts, definition: str, version: int, stored: list[dict[str, str]]
) -> RegisteredFiles:
    """Return the files of a version that have these hashes, from the cache or from the registry.

    Raises ModelUnavailable if both lack them.
    """
    return _find_cached(
        platform.model_key, platform.model_file_cache, definition, version, stored
    ) or _fetch(platform, definition, version, stored)


def parse_model(definition: Definition, version: int, files: Files) -> "TrainedModel":
    """Return the model in these files, read by the kind of its definition.

    Raises ModelUnavailable if they are damaged.
    """
    try:
        return trained_kind_of(definition).load(files)
    except ModelUnavailable:
        raise
    except Exception as fault:  # of one model, which is then unknown; the round continues
        raise ModelUnavailable(
            f"version {version} in the registry is damaged: {first_line(fault)}"
        ) from fault


def _find_cached(
    model_key: bytes,
    model_file_cache: ModelFileCache,
    definition: str,
    version: int,
    stored: list[dict[str, str]],
) -> RegisteredFiles | None:
    """Return the cached files of a version if all have their registered hashes; drop them if one
    has another hash."""
    for hashes in stored:
        files = model_file_cache.load(definition, version, hashes)
        if files is None:
            continue
        if hashes and _matches(file_hashes(definition, files, model_key), hashes):
            return RegisteredFiles(files, hashes)
        _log.warning(
            "the cached files of version %d are damaged and are downloaded again",
            version,
            definition=definition,
        )
        model_file_cache.drop(definition, version, hashes)
    return None


def _fetch(
    platform: RegistryPorts, definition: str, version: int, stored: list[dict[str, str]]
) -> RegisteredFiles:
    """Download the files of a version, compare them with the registered hashes, and cache them."""
    try:
        downloaded = platform.models.model_files(definition, version)
    except ModelUnavailable:
        raise
    except Exception as fault:
        # the answer of an external registry can make a client fail in any way
        raise ModelUnavailable(
            f"version {version} cannot be fetched from the registry: {first_line(fault)}"
        ) from fault
    files = _select_registered(definition, version, downloaded, stored, platform.model_key)
    hashes = file_hashes(definition, files, platform.model_key)
    platform.model_file_cache.store(definition, version, hashes, files)
    return RegisteredFiles(files, hashes)


def _select_registered(
    definition: str, version: int, files: Files, stored: list[dict[str, str]], key: bytes
) -> dict[str, bytes]:
    """Return the files as they were registered. Files that MLflow adds are left out."""
    if not any(
        value.startswith(f"{_method(key)}:") for hashes in stored for value in hashes.values()
    ):
        how_stored = (
            "without the key of this platform, or with another one"
            if key
            else "with a key, which this platform does not use"
        )
        raise ModelUnavailable(
            f"the hashes of version {version} were stored {how_stored}; train the model again"
        )
    present = file_hashes(definition, files, key)
    same = next((hashes for hashes in stored if _matches(present, hashes)), None)
    if same is not None:
        return {name: files[name] for name in same}
    newest = stored[-1]
    changed = sorted(
        name
        for name in newest
        if name in present and not hmac.compare_digest(present[name], newest[name])
    )
    faults = {"changed": changed, "lost": sorted(newest.keys() - present.keys())}
    damage = ", ".join(f"{' and '.join(names[:5])} {how}" for how, names in faults.items() if names)
    raise ModelUnavailable(
        f"version {version} in the registry is damaged: {damage} since it was registered; "
        "restore the files, roll back, or train the model again"
    )


def _matches(present: Mapping[str, str], stored: Mapping[str, str]) -> bool:
    return present.keys() >= stored.keys() and all(
        hmac.compare_digest(present[name], stored[name]) for name in stored
    )


MOST_BYTES = 1 << 30  # 1,000 champions of 150 trees: fewer would be read again at each tick
Content = tuple[str, frozenset[tuple[str, str]]]
"""A kind, and the name and SHA-256 of each file."""


class ModelCache:
    """Cache of registered models, for several threads. No thread waits for a model that another
    thread reads.

    `most_bytes`: bound of the files of all kept models; the least recently used are dropped first.
    """

    def __init__(self, platform: RegistryPorts, most_bytes: int = MOST_BYTES) -> None:
        self._platform = platform
        self._most_bytes = most_bytes
        self._contents: dict[tuple[str, int], Content] = {}
        self._parsed: OrderedDict[Content, TrainedModel] = OrderedDict()
        self._sizes: dict[Content, int] = {}
        self._last: dict[str, tuple[Definition, int]] = {}
        self._lock = Lock()

    def get(self, definition: Definition, version: int) -> "TrainedModel":
        """Return a registered model, with the threshold that its definition fixes. Raises
        ModelUnavailable, also for damaged files."""
        self._last[definition.name] = definition, version
        return with_fixed_threshold(definition, self.as_trained(definition, version))

    def as_trained(self, definition: Definition, version: int) -> "TrainedModel":
        """Return a registered model with the threshold of its training. Raises as `get`."""
        return self._find(definition, version) or self._read(definition, version)

    def last_used(self, name: str) -> "tuple[Definition, TrainedModel] | None":
        """Return the model of this definition that was asked for last, with the definition that
        asked; None before the first time, and if the model is not kept."""
        if name not in self._last:
            return None
        definition, version = self._last[name]
        model = self.loaded(definition, version)
        return None if model is None else (definition, model)

    def forget_others(self, names: Collection[str]) -> None:
        """Forget the last used models of definitions without one of these names."""
        self._last = {name: last for name, last in self._last.items() if name in names}

    def loaded(self, definition: Definition, version: int) -> "TrainedModel | None":
        """Return a kept model as `get`; None if its files would have to be read first."""
        model = self._find(definition, version)
        return None if model is None else with_fixed_threshold(definition, model)

    def _find(self, definition: Definition, version: int) -> "TrainedModel | None":
        with self._lock:
            content = self._contents.get((definition.name, version))
            return None if content is None else self._use(content)

    def _use(self, content: Content) -> "TrainedModel | None":
        model = self._parsed.get(content)
        if model is not None:
            self._parsed.move_to_end(content)
        return model

    def _read(self, definition: Definition, version: int) -> "TrainedModel":
        """Read a model, unless the same files are parsed already."""
        key = (definition.name, version)
        stored = registered_hashes(self._platform.decisions, definition.name, version)
        # a keyed hash names its definition, so it is compared with the files themselves
        keyed = bool(self._platform.model_key)
        if not keyed:
            with self._lock:
                for content in _contents(definition, stored):
                    model = self._use(content)
                    if model is not None:
                        self._contents[key] = content
                        return model
        files, hashes = registered_files(self._platform, definition.name, version, stored)
        plain = file_hashes(definition.name, files, b"") if keyed else hashes
        [content] = _contents(definition, [plain])
        with self._lock:
            model = self._use(content)
        model = model or parse_model(definition, version, files)
        with self._lock:
            self._contents[key] = content
            return self._keep(content, model, files)

    def _keep(self, content: Content, model: "TrainedModel", files: Files) -> "TrainedModel":
        """Keep a model and return it, or return the model that another thread has read from equal
        files meanwhile."""
        self._sizes[content] = sum(map(len, files.values()))
        parsed = self._parsed.setdefault(content, model)
        self._parsed.move_to_end(content)
        while len(self._parsed) > 1 and sum(self._sizes.values()) > self._most_bytes:
            oldest, _ = self._parsed.popitem(last=False)
            del self._sizes[oldest]
        return parsed


def with_fixed_threshold(definition: Definition, model: "TrainedModel") -> "TrainedModel":
    """Return a model with the threshold that its definition fixes (`operating_point.alarm_at`), its
    refit with the same; unchanged without one, and without an alarm."""
    alarm_at = fixed_threshold(definition)
    if alarm_at is None or not model.has_alarm:
        return model
    refit = model.refit and replace(model.refit, threshold=alarm_at)
    return replace(model, threshold=alarm_at, refit=refit)


def _contents(definition: Definition, hashes: Iterable[Mapping[str, str]]) -> list[Content]:
    return [(definition.kind, frozenset(by_file.items())) for by_file in hashes]


@dataclass(frozen=True)
class SetPointEffect:
    """The change of `variable`, the variable of the problem, for one unit of `set_point`; `error`:
    its standard error. `relief`: how far one unit surely moves the variable away from the limit, 0
    if not known."""

    set_point: str
    variable: str
    effect: float
    error: float
    relief: float


@dataclass(frozen=True)
class ModelEvidence:
    """Evidence of a version.

    `curve`: thresholds with their metrics in the validation period, by rising threshold.
    `reliability`: in the test period, the mean score and the observed share of bins of rows.
    `importance`: by variable. `test`: metrics of the test period; `test_curve`: its events at each
    threshold of the curve. A part that was not stored, or cannot be read, is empty.
    """

    version: int
    run_id: str
    curve: Sequence[Mapping[str, Any]] = ()
    reliability: Sequence[Mapping[str, float]] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, Any] = field(default_factory=dict)
    effects: Sequence[SetPointEffect] = ()
    test_curve: Sequence[Mapping[str, Any]] = ()

    def at_threshold(self, threshold: float | None) -> "ModelEvidence":
        """Return the evidence with another threshold in force, and what was measured of it in the
        test period; unchanged for None."""
        if threshold in (None, self.test.get("threshold")):
            return self
        curve = [{**p, "chosen": p.get("threshold") == threshold} for p in self.curve]
        measured = (p for p in self.test_curve if p.get("threshold") == threshold)
        return replace(self, curve=curve, test=next(measured, {}))


def load_evidence(
    models: Models, runs: TrainingRuns, name: str, version: int
) -> ModelEvidence | None:
    """Return the evidence of a version. For a refitted version it is the evidence of its twin, to
    which all printed metrics belong. None without a training, and if the registry cannot be
    read."""
    try:
        tags = models.versions(name)[version]
        if "training_run" not in tags:
            return None
        run = search_run(tags)
        files = runs.files(run, EVIDENCE)
    except (ModelUnavailable, LookupError):
        return None
    return ModelEvidence(
        version,
        run,
        _read(files, "threshold_curve", list),
        _read(files, "reliability", list),
        _read(files, "importance", dict),
        _read(files, "summary", dict),
        _effects(_read(files, "effects", list)),
        _read(files, "test_curve", list),
    )


def _read(files: Mapping[str, bytes], name: str, kind: type) -> Any:
    data = files.get(f"{name}.json", b"")
    try:
        value = json.loads(data) if len(data) <= _MOST_BYTES else None
    except ValueError:
        value = None
    return value if isinstance(value, kind) else kind()


def effects_file(effects: "SetPointEffects | None") -> dict[str, bytes]:
    """Return the effects of set-points as a file by name; none where they are not known."""
    if effects is None:
        return {}
    rows = [
        asdict(SetPointEffect(name, effects.variable, effect, error, effects.relief(name)))
        for name, (effect, error) in sorted(effects.effects.items())
    ]
    return {"effects.json": json.dumps(rows[:100], indent=1).encode()}


def _effects(rows: Sequence[Any]) -> tuple[SetPointEffect, ...]:
    names = {field.name for field in fields(SetPointEffect)}
    return tuple(
        SetPointEffect(**row) for row in rows if isinstance(row, dict) and row.keys() == names
    )


def log_onnx(runs: TrainingRuns, run_id: str, model: "TrainedModel") -> None:
    """Store a model as an ONNX artefact of its run, if people see runs, the library is installed,
    and its family has a graph."""
    if not runs.shown:
        return
    try:
        data = onnx_file(model)
    except UserError as refusal:
        _log.info("no ONNX file: %s", refusal, definition=model.definition, run=run_id)
    except Exception as fault:  # of an artefact, which must not stop a training
        _log.warning("no ONNX file: %s", first_line(fault), definition=model.definition, run=run_id)
    else:
        runs.log(run_id, files={"model.onnx": data}, folder="onnx")


def export_onnx(
    platform: RegistryPorts, definition: Definition, version: int, asset: str | None = None
) -> bytes:
    """Return a registered version as an ONNX file; of a model with a part for each asset that of
    the `asset`.

    Raises UserError if its kind or family has no graph, if it cannot be read, if it does not know
    which asset, and without the library.
    """
    from alerting.learning.models.trained import TrainedModel  # noqa: PLC0415 - loads a library of frames

    if not isinstance(definition, ModelDefinition):
        raise UserError(f"{definition.name!r} is of kind {definition.kind}, which has no model")
    try:
        model = load_model(platform, definition, version)
    except ModelUnavailable as unavailable:
        raise UserError(
            f"model {version} of {definition.name!r} cannot be read: {unavailable}"
        ) from unavailable
    kind = trained_kind_of(definition)
    if isinstance(kind, GraphKind):
        with _require_onnx():
            return kind.graph(model, asset)
    if not isinstance(model, TrainedModel):
        raise UserError(
            f"{definition.name!r} is of kind {definition.kind}, whose models have no ONNX graph"
        )
    if asset is not None:
        raise UserError(
            f"{definition.name!r} is of kind {definition.kind}, which has one model for all "
            "assets: name none"
        )
    return onnx_file(model)


def onnx_file(model: "TrainedModel") -> bytes:
    """Return the ONNX file of the serving part of a model: of its refit, if it has one. Raises
    UserError if there is no such file."""
    with _require_onnx():
        from alerting.learning.models.onnx_graph import onnx_graph  # noqa: PLC0415 - an optional library

        return onnx_graph(model.refit or model)


@contextmanager
def _require_onnx() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        raise UserError(
            f"ONNX files need the library {missing.name}: pip install 'alerting[onnx]'"
        ) from missing


def with_horizon_in_service(
    platform: RegistryPorts,
    definition: Definition,
    assets: Sequence[Asset],
    decisions: Sequence[DecisionRecord],
    as_of: datetime,
) -> Definition:
    """Return a definition that learns normal operation with the horizon that the training of its
    model in service at `as_of` measured."""
    if not isinstance(definition, NormalDefinition) or definition.problem is None:
        return definition
    promoted = [d.challenger_version for d in decisions if d.promoted and d.acted_at <= as_of]
    version = next((v for v in reversed(promoted) if v is not None), None)
    try:
        model = None if version is None else ModelCache(platform).get(definition, version)
    except ModelUnavailable:  # figures of alarms need no model
        return definition
    if model is None:
        return definition
    return cast("NormalModel[Any]", model).with_measured_horizon(definition, assets)
