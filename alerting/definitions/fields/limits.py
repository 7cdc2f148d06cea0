"""Limits of a variable: numbers, or attributes of the asset; bands, severities, and shares of the last readings."""

from pydantic import Field

from alerting.definitions.assets import Closed, Tag


class FromAttribute(Closed):
    """A limit that every asset states for itself."""

    attribute: Tag = Field(description="Name of the asset attribute that holds the limit; an asset without it is refused.")


Limit = float | FromAttribute


class Band(Closed):
    """A range of values; both ends belong to it."""

    low: Limit = Field(description="Lower end of the band: a number, or {attribute: name}.")
    high: Limit = Field(description="Upper end of the band: a number, or {attribute: name}.")


class AtLeast(Closed):
    """A share of the last readings."""

    readings: int = Field(ge=1, le=100, description="This many readings must be beyond the limit ...")
    of: int = Field(
        ge=2,
        le=100,
        description="... among this many last ones. Missing, frozen, impossible and bad readings do not count, nor do "
        "readings before a gap in the data longer than stale_after.",
    )


class LevelLimits(Closed):
    """The limits of one severity."""

    above: Limit | None = Field(None, description="This severity is reached by a value above: a number, or {attribute: name}.")
    below: Limit | None = Field(None, description="This severity is reached by a value below: a number, or {attribute: name}.")
    clear_above_at: Limit | None = Field(None, description="After `above` it is left only at or below this value (hysteresis).")
    clear_below_at: Limit | None = Field(None, description="After `below` it is left only at or above this value (hysteresis).")


class Levels(Closed):
    """Limits by severity; the worst one that holds counts."""

    low: LevelLimits | None = Field(None, description="Limits of severity low.")
    medium: LevelLimits | None = Field(None, description="Limits of severity medium.")
    high: LevelLimits | None = Field(None, description="Limits of severity high.")
    critical: LevelLimits | None = Field(None, description="Limits of severity critical.")
