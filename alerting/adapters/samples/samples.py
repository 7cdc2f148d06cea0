"""Samples in the document of their instant, and events: the value under `v`, the quality under `q` where that is not good.

A sample of bad quality has no value there. Documents from versions without qualities have no `q`.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from alerting.ports import Document, EventRow, ReadingRow
from alerting.readings.instants import whole_millis
from alerting.readings.sample_quality import Quality


class Doubted(NamedTuple):
    """A sample whose quality is not good; a bad one has no value."""

    value: float | str | bool | None
    quality: Quality


def samples_of(row: ReadingRow) -> Document:
    """Return the samples of a row by variable: plain values, Doubted where the quality is not good."""
    return samples_in({"v": row.values, "q": row.quality}) if row.quality else dict(row.values)


def samples_in(document: Mapping[str, Any]) -> Document:
    """Return the samples of a stored document {v, q}, in the form of `samples_of`."""
    values, quality = document["v"], document["q"]
    return {**values, **{n: Doubted(values.get(n) if grade == "uncertain" else None, grade) for n, grade in quality.items()}}


def sample_fields(samples: Document) -> Document:
    """Return the fields {v, q} of a new document."""
    values = {n: s.value if isinstance(s, Doubted) else s for n, s in samples.items()}
    quality = {n: s.quality for n, s in samples.items() if isinstance(s, Doubted)}
    return {"v": {n: value for n, value in values.items() if value is not None}, **({"q": quality} if quality else {})}


def sample_update(fields: Document, samples: Document, doubted: Collection[str]) -> Document:
    """Return the update that puts fields and samples into a stored document, in which the samples of `doubted` were not good."""
    put = dict(fields)
    gone: Document = {f"q.{n}": "" for n in doubted if n in samples and not isinstance(samples[n], Doubted)}
    for name, sample in samples.items():
        if not isinstance(sample, Doubted):
            put[f"v.{name}"] = sample
            continue
        put[f"q.{name}"] = sample.quality
        if sample.value is None:
            gone[f"v.{name}"] = ""
        else:
            put[f"v.{name}"] = sample.value
    return {"$set": put, **({"$unset": gone} if gone else {})}


def merge_event(stored: Document | None, row: EventRow) -> Document:
    """Return the document of an event after a row: a new end or attribute replaces the old one, an omitted one stays."""
    end = None if row.end is None else whole_millis(row.end)
    if stored is None:
        fields = {"asset": row.asset, "type": row.type, "start": whole_millis(row.start), "end": end, "source": row.source}
        return {**fields, "attributes": dict(row.attributes)}
    return {**stored, "end": end or stored["end"], "attributes": {**stored["attributes"], **row.attributes}}
