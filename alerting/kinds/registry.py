"""Find the kinds of alert. Each is one package with two modules, `definition` and `kind`; nothing
else names a kind."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Union, cast, get_args

from pydantic import Field, TypeAdapter

from alerting import kinds
from alerting.definitions.alert_definition import Definition, ModelDefinition, TrainedDefinition
from alerting.definitions.faults import UserError, shown

if TYPE_CHECKING:
    from alerting.kinds.protocol import Kind, MovingKind, TrainedKind, VerifyingKind
    from alerting.kinds.training_protocol import Estimation, KindTraining

_folders = [
    f"{kinds.__name__}.{module.name}" for module in iter_modules(kinds.__path__) if module.ispkg
]
_packages = [folder for folder in _folders if find_spec(f"{folder}.definition") is not None]


@contextmanager
def registered(package: str) -> Iterator[None]:
    """Add the kind of a package outside of `alerting.kinds`, for as long as the context lasts."""
    _packages.append(package)
    _clear()
    try:
        yield
    finally:
        _packages.remove(package)
        _clear()


@cache
def definition_types() -> dict[str, type[Definition]]:
    """Return the class of the definitions of each kind, by kind. Loads no library of frames or
    models."""
    types: list[type[Definition]] = [
        import_module(f"{package}.definition").DEFINITION for package in _packages
    ]
    return {get_args(type_.model_fields["kind"].annotation)[0]: type_ for type_ in types}


def trained_kinds() -> list[str]:
    """Return the names of the kinds with a trained model."""
    return [
        name for name, type_ in definition_types().items() if issubclass(type_, ModelDefinition)
    ]


def sometimes_trained_kinds() -> dict[str, tuple[str, ...]]:
    """Return the kinds of which only some definitions have a model, with the dotted paths of which
    these have one."""
    return {
        name: type_.model_fields_at
        for name, type_ in definition_types().items()
        if type_.model_fields_at
    }


def kind_of(definition: Definition) -> "Kind[Any]":
    """Return the kind of a definition."""
    return _kinds()[definition.kind]


def trained_kind_of(definition: Definition) -> "TrainedKind[Any]":
    """Return the kind of a definition with a model."""
    return cast("TrainedKind[Any]", kind_of(definition))


def verifying_kind_of(definition: Definition) -> "VerifyingKind[Any] | None":
    """Return the kind of a definition if later values confirm or refute what its model states."""
    from alerting.kinds.protocol import VerifyingKind  # noqa: PLC0415 - loads the methods of kinds

    kind = kind_of(definition)
    return kind if isinstance(kind, VerifyingKind) else None


def has_score_each_stride(definition: Definition) -> bool:
    """Return whether the state of a definition is known where a stride has a score, and only
    there."""
    from alerting.kinds.protocol import StrideScoringKind  # noqa: PLC0415 - loads the methods of kinds

    kind = kind_of(definition)
    return isinstance(kind, StrideScoringKind) and kind.has_score_each_stride(definition)


def moving_kind_of(definition: Definition) -> "MovingKind[Any] | None":
    """Return the kind of a definition if its limits change by themselves."""
    from alerting.kinds.protocol import MovingKind  # noqa: PLC0415 - loads the methods of kinds

    kind = kind_of(definition)
    return kind if isinstance(kind, MovingKind) else None


def trained_kind_named(name: str) -> "TrainedKind[Any]":
    """Return a kind with a model by its name. Raises UserError for any other name."""
    names = [*trained_kinds(), *sometimes_trained_kinds()]
    if name not in names:
        raise UserError(f"there is no kind {shown(name)} with a model; kinds: {', '.join(names)}")
    return cast("TrainedKind[Any]", _kinds()[name])


def training_of(definition: TrainedDefinition) -> "KindTraining[Any]":
    """Return the training of a kind that learns from problems. Loads its libraries."""
    return cast("KindTraining[Any]", _module(definition.kind, "training").TRAINING)


def estimation_of(definition: ModelDefinition) -> "Estimation[Any]":
    """Return the training of a kind that learns from readings alone. Loads its libraries."""
    return cast("Estimation[Any]", _module(definition.kind, "training").TRAINING)


@cache
def _kinds() -> dict[str, "Kind[Any]"]:
    return {name: _module(name, "kind").KIND for name in definition_types()}


def load_kinds() -> None:
    """Load the methods of all kinds, and the union of their definitions."""
    _kinds()
    definition_union()


def _module(kind: str, name: str) -> ModuleType:
    return import_module(f"{definition_types()[kind].__module__.rpartition('.')[0]}.{name}")


@cache
def definition_union() -> TypeAdapter[Definition]:
    """Return the closed union of all definitions, told apart by `kind`."""
    types = tuple(definition_types().values())
    union: Any = Annotated[Union[types], Field(discriminator="kind")]  # noqa: UP007 - of as many as there are
    return TypeAdapter(union)


def _clear() -> None:
    definition_types.cache_clear()
    _kinds.cache_clear()
    definition_union.cache_clear()
