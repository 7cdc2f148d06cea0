"""Documents of several kinds, as one closed union by `kind`, with every fault named."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from alerting.definitions.faults import (
    MISSING,
    DocumentRefused,
    Fault,
    drop_paths,
    name_hint,
    shown,
)
from alerting.definitions.wording.fault_messages import message_of, name_fault
from alerting.definitions.wording.language import join_with_or, translatable

T = TypeVar("T")
PATH_FIELDS = ("folder", "known_hosts", "key")
"""Fields with a path on the host, by whatever kind; those of `tls` are, too."""
SERVED_PATH_FIELDS = ("pattern", "done", "bad")
"""Fields with a path at the server of the address, on the host without one."""


class KindUnion(Generic[T]):
    """The documents of some kinds. `union`: their models; `faults`: yields the faults of several
    fields together; `refused`: the refusal of a whole document."""

    def __init__(
        self,
        kinds: Mapping[str, type[BaseModel]],
        union: Any,
        faults: Callable[[T], Iterator[Fault]],
        refused: type[DocumentRefused],
    ) -> None:
        self._kinds = kinds
        self._union = union
        self._faults = faults
        self._refused = refused

    @cached_property
    def adapter(self) -> TypeAdapter[T]:
        """Return the closed union, told apart by `kind`."""
        hint: Any = Annotated[self._union, Field(discriminator="kind")]
        return TypeAdapter(hint)

    def parse(self, document: Mapping[str, Any]) -> T:
        """Return what a document says. Raises the refusal with every fault."""
        name = document.get("name", "without a name")
        try:
            found = self.adapter.validate_python(dict(document))
        except ValidationError as error:
            faults = [self._fault(one, document) for one in error.errors()]
            raise self._refused(
                name, faults + self._faults_of_the_rest(document, [fault.path for fault in faults])
            ) from error
        if across := list(self._faults(found)):
            raise self._refused(name, across)
        return found

    def _faults_of_the_rest(self, document: Mapping[str, Any], paths: list[str]) -> list[Fault]:
        try:
            rest = self.adapter.validate_python(drop_paths(document, paths))
        except ValidationError:
            return []
        return [fault for fault in self._faults(rest) if fault.path not in paths]

    def _fault(self, error: Any, document: Mapping[str, Any]) -> Fault:
        path = [str(part) for part in error["loc"] if part != "[key]"]
        path = path[1:] if path and path[0] in self._kinds else path
        dotted = ".".join(path) or "document"
        match error["type"]:
            case "union_tag_not_found":
                kinds = join_with_or(*(f"kind: {kind}" for kind in self._kinds))
                return Fault("kind", MISSING, translatable("write {names}", names=kinds))
            case "union_tag_invalid":
                return Fault(
                    "kind",
                    translatable("{value} is not a kind", value=shown(document.get("kind"))),
                    name_hint(str(document.get("kind")), self._kinds, translatable("kinds")),
                )
            case "extra_forbidden" if len(path) == 1:
                return Fault(
                    dotted,
                    translatable("is not a field"),
                    name_hint(
                        path[0], self._kinds[document["kind"]].model_fields, translatable("fields")
                    ),
                )
            case "string_pattern_mismatch":
                return name_fault(dotted, error["input"])
        return Fault(dotted, *message_of(error))


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


def kind_document(document: BaseModel, name: str, kind: str) -> dict[str, Any]:
    """Return a document as people would write it: without fields at their default."""
    return {
        "name": name,
        "kind": kind,
        **document.model_dump(mode="json", exclude_defaults=True),
    }
