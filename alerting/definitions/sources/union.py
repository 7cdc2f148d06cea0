"""Documents of several kinds, as one closed union by `kind`, with every fault named.

Installed packages add kinds by entry points, in the group `alerting.sources` or `alerting.sinks`:
name of the kind = `module:Model`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Generic, TypeVar, Union, get_args

from pydantic import BaseModel, Field, TypeAdapter

from alerting.definitions.faults import (
    MISSING,
    Fault,
    first_line,
    name_hint,
    read_document,
    shown,
)
from alerting.definitions.left import left_hint
from alerting.definitions.wording.fault_messages import model_faults
from alerting.definitions.wording.language import join_with_or

T = TypeVar("T")
PATH_FIELDS = ("known_hosts", "key")
"""Fields with a path on the host, by whatever kind; those of `tls` are, too."""
SERVED_PATH_FIELDS = ("pattern", "done", "bad")
"""Fields with a path at the server of the address, on the host without one."""
_log = logging.getLogger(__name__)


class KindUnion(Generic[T]):
    """The documents of some kinds. `built_in`: the models of the platform; `base`: what those of
    packages are made from; `faults`: yields the faults of several fields together; `word`: what
    a document is called."""

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
        """Return the models by kind, those of installed packages among them; these are loaded once,
        and a warning names each that cannot be used."""
        found = dict(self._built_in)
        group = f"alerting.{self._word}s"
        for point in entry_points(group=group):
            try:
                model = point.load()
                reason = self._reason_against(point, model, found)
            except Exception as error:  # any content of a package
                reason = f"{type(error).__name__}: {first_line(error)}"
            if reason is None:
                found[point.name] = model
                continue
            of = point.dist.name if point.dist else point.value
            self._unusable[point.name] = f"the package {of} adds this kind, but {reason}"
            _log.warning("%s %s: %s", group, point.name, self._unusable[point.name])
        return found

    def _reason_against(
        self, point: EntryPoint, model: Any, found: Mapping[str, type[BaseModel]]
    ) -> str | None:
        """Return why the model of a package cannot be used; None if it can."""
        if point.name in found:
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
        """Return the closed union, told apart by `kind`."""
        hint: Any = Annotated[
            Union[tuple(self.kinds.values())],  # noqa: UP007 - of models known when it runs
            Field(discriminator="kind"),
        ]
        return TypeAdapter(hint)

    def parse(self, document: Mapping[str, Any]) -> T:
        """Return what a document says. Raises DocumentRefused with every fault."""
        return read_document(
            self.adapter.validate_python,
            document,
            self._word,
            lambda errors: [self._fault(one, document) for one in errors],
            self._faults,
        )

    def _fault(self, error: Any, document: Mapping[str, Any]) -> Fault:
        path = [str(part) for part in error["loc"] if part != "[key]"]
        path = path[1:] if path and path[0] in self.kinds else path
        word = self._word
        match error["type"]:
            case "union_tag_not_found":
                kinds = join_with_or(*(f"kind: {kind}" for kind in self.kinds))
                return Fault("kind", MISSING, f"write {kinds}")
            case "union_tag_invalid":
                kind = str(document.get("kind"))
                return Fault(
                    "kind",
                    f"{shown(document.get('kind'))} is not a kind",
                    self._unusable.get(kind)
                    or left_hint(f"kind of {word}", kind)
                    or name_hint(kind, self.kinds, "kinds"),
                )
        fields = self.kinds[document["kind"]].model_fields
        return model_faults([{**error, "loc": path}], fields, word)[0]


def new_host_paths(given: object, before: object | None) -> list[str]:
    """Return the fields of a document with a path on the host that the document before, if any,
    does not use in the same field, by the same kind and with the same address."""
    used = {} if before is None else _host_paths(before)
    return [field for field, place in _host_paths(given).items() if used.get(field) != place]


def _host_paths(document: object) -> dict[str, tuple[object, ...]]:
    """Return kind, address and path of each field with a path on the host."""
    address = getattr(document, "url", None)
    tls = getattr(document, "tls", None)
    fields = PATH_FIELDS + (SERVED_PATH_FIELDS if address is None else ())
    paths = {field: getattr(document, field, None) for field in fields}
    paths |= {f"tls.{field}": path for field, path in tls or ()}
    kind = getattr(document, "kind", None)
    return {field: (kind, address, path) for field, path in paths.items() if path is not None}


def kind_document(document: BaseModel) -> dict[str, Any]:
    """Return a document as people would write it: without fields at their default, but with its
    kind."""
    head = document.model_dump(mode="json", include={"name", "kind"})
    return head | document.model_dump(mode="json", exclude_defaults=True)
