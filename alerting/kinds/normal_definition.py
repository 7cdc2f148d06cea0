"""Fields of the kinds whose model learns normal operation: the normal period, and the problem that
may be behind an alarm."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import (
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from alerting.definitions.alert_definition import STORED, ModelDefinition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import Duration, Fault, format_duration
from alerting.definitions.fields.learning import Between, Dates, Length, way

NormalPeriod = Annotated[Length | Between, Discriminator(way)]
USUAL_PERIOD = timedelta(days=28)
USUAL_HORIZON = timedelta(minutes=30)
LONGEST_MEASURED = timedelta(days=1)
"""The longest default horizon that the measured spacing of the problem's variables gives."""
SPELLED = "1800s"  # the usual horizon in a stored revision that a document writes


class NormalDefinition(ModelDefinition):
    """A definition whose model learns normal operation from readings alone. Suppressed times do not
    count."""

    if TYPE_CHECKING:
        # of each kind's own class, in the order of its fields
        normal: NormalPeriod
        clear_for: Duration | None

    horizon: Duration = Field(
        USUAL_HORIZON,
        description="With a problem: time after the raise within which the problem counts as "
        "predicted. Left out: 30m, or the usual time between values of the problem's variable "
        "where that is longer: its `sampling`, or as the training measured it on values that come "
        "regularly, at most 1d.",
    )
    gap: Duration = Field(timedelta(0), description="With a problem: least time needed to act.")

    evaluates_suppressed: ClassVar[bool] = False
    _usual_is_written: bool = PrivateAttr(False)
    _follows_spacing: bool = PrivateAttr(False)  # its horizon is a spacing, and can become a longer

    @model_validator(mode="wrap")
    @classmethod
    def _note_horizon(
        cls, document: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        """Return the definition with a note whether its document states the default horizon.

        A stored revision has every field, so there only the spelling SPELLED means that the horizon
        was written.
        """
        made = handler(document)
        if isinstance(document, Mapping) and made.horizon == USUAL_HORIZON:
            text = document.get("horizon")
            is_stored = bool(info.context and info.context.get(STORED))
            made._usual_is_written = text == SPELLED if is_stored else text is not None
        return made

    @model_serializer(mode="wrap")
    def _write_horizon(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Return the document, with the default horizon if it was written."""
        document: dict[str, Any] = handler(self)
        if self._usual_is_written and info.exclude_defaults:
            return document | {"horizon": format_duration(USUAL_HORIZON)}
        if self._usual_is_written and info.mode == "json" and "horizon" in document:
            return document | {"horizon": SPELLED}
        return document

    def for_assets(self, assets: Sequence[Asset]) -> Self:
        """Return the definition with a horizon that, unless it was written, is at least the
        sampling of the problem's variables."""
        return self.with_spacing(self.problem_sampling(assets))

    def with_spacing(self, longest: timedelta) -> Self:
        """Return the definition with a horizon that, unless it was written, is at least this usual
        time between values."""
        is_stated = self._usual_is_written or not (
            self.horizon == USUAL_HORIZON or self._follows_spacing
        )
        if is_stated or longest <= self.horizon:
            return self
        lengthened = self.model_copy(update={"horizon": longest})
        lengthened._follows_spacing = True
        return lengthened

    def horizon_warnings(
        self, assets: Sequence[Asset], measured: timedelta = timedelta(0)
    ) -> Iterable[str]:
        """Yield what to write if the problem's variables come less often than once a horizon, as
        declared or `measured`."""
        sampling = self.problem_sampling(assets) or measured
        if self.with_spacing(sampling).horizon < sampling:
            usual = format_duration(sampling)
            yield (
                f"horizon {format_duration(self.horizon)} is shorter than the sampling of the "
                f"problem's variable, {usual}: most of its alarms will end undetermined; write "
                f"horizon: {usual} or more, or leave it out"
            )

    def problem_sampling(self, assets: Sequence[Asset]) -> timedelta:
        """Return the longest declared sampling of the problem's variables; 0 if none is
        declared."""
        declared = (
            asset.variables[name].sampling
            for asset in assets
            for name in (self.problem.variables if self.problem else ())
            if name in asset.variables
        )
        return max(
            (sampling for sampling in declared if sampling is not None), default=timedelta(0)
        )

    @property
    def learns_from(self) -> datetime | None:
        return self.normal.start if isinstance(self.normal, Dates) else None

    @property
    def longest_window(self) -> timedelta:
        return max(super().longest_window, self.gap + LONGEST_MEASURED)

    @property
    def longest_search(self) -> timedelta:
        return timedelta(0)

    def off_delay(self, usual: timedelta) -> timedelta:
        """Return the off-delay as written; otherwise `usual`."""
        return usual if self.clear_for is None else self.clear_for

    def variables_read(self, asset: Asset) -> frozenset[str]:
        """Return the variables of any definition, and those of the suppression, on the asset or its
        ancestors, because suppressed times are not learned from."""
        when = self.suppression.when if self.suppression else ()
        return super().variables_read(asset) | {
            state.variable for state in when if state.variable is not None
        }

    def events_read(self) -> tuple[str, ...]:
        when = self.suppression.when if self.suppression else ()
        return (*super().events_read(), *(state.event for state in when if state.event is not None))

    def period_faults(self) -> Iterable[Fault]:
        """Yield the faults of a normal period that is given by dates."""
        if isinstance(self.normal, Dates):
            if self.normal.end is None:
                yield Fault("normal", "has no end", "write {from: …, to: …}")
            elif self.normal.end <= self.normal.start:
                yield Fault("normal", "ends before it begins")

    def negative_faults(self, *names: str) -> Iterable[Fault]:
        """Yield a fault for each of these durations that is negative. Names are those in the
        document."""
        for name, field in type(self).model_fields.items():
            written = field.alias or name
            value = getattr(self, name)
            if written in names and value is not None and value < timedelta(0):
                yield Fault(written, "must not be negative")
