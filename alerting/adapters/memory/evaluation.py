"""Scores, past evaluations, reports and backtests in memory."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from alerting.adapters.memory.tables import plain
from alerting.episodes.episode import Episode
from alerting.ports import (
    Document,
    Files,
    PastEvaluation,
    ReportContent,
    ReportHead,
    Score,
    TargetScores,
)


class MemoryScores:
    """Port `Scores`."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[tuple[datetime, str, int], Document]] = {}

    def add(self, definition: str, asset: str, rows: Sequence[Score]) -> None:
        stored = self._rows.setdefault(definition, {})
        for row in rows:
            stored.setdefault((row.ts, asset, row.model_version), {"asset": asset, **row.document})

    def add_many(self, targets: Sequence[TargetScores]) -> None:
        for target in targets:
            self.add(*target)

    def for_interval(
        self, definition: str, start: datetime, end: datetime, asset: str | None = None
    ) -> Iterator[Document]:
        stored = self._rows.get(definition, {})
        yield from (
            dict(stored[key])
            for key in sorted(stored)
            if start <= key[0] < end and asset in (None, key[1])
        )


class MemoryPastEvaluations:
    """Port `PastEvaluations`."""

    def __init__(self) -> None:
        self._evaluations: list[PastEvaluation] = []

    def add(self, evaluation: PastEvaluation) -> None:
        self._evaluations = sorted([*self._evaluations, evaluation], key=lambda e: e.at)

    def for_definition(self, definition: str) -> list[PastEvaluation]:
        return [e for e in self._evaluations if e.definition == definition]

    def for_interval(self, start: datetime, end: datetime) -> list[PastEvaluation]:
        return [e for e in self._evaluations if e.start < end and e.end > start]


class MemoryReports:
    """Port `Reports`."""

    def __init__(self) -> None:
        self._heads: dict[str, ReportHead] = {}
        self._contents: dict[str, ReportContent] = {}

    def add(self, head: ReportHead, content: ReportContent) -> bool:
        if head.id in self._heads:
            return False
        self.store_report(head, content)
        return True

    def store_report(self, head: ReportHead, content: ReportContent) -> None:
        self._heads[head.id] = head
        self._contents[head.id] = ReportContent(
            plain(content.metrics), content.page, plain(content.tables), content.picture
        )

    def mark_announced(self, id: str) -> None:
        if (head := self._heads.get(id)) is not None:
            self._heads[id] = replace(head, announced=True)

    def get(self, id: str) -> ReportHead | None:
        return self._heads.get(id)

    def content(self, id: str) -> ReportContent | None:
        return self._contents.get(id)

    def page(self, id: str) -> str | None:
        return self._contents[id].page if id in self._contents else None

    def for_definition(self, definition: str | None) -> list[ReportHead]:
        found = [head for head in self._heads.values() if head.definition == definition]
        return sorted(found, key=lambda h: (h.start, h.end, h.as_of), reverse=True)

    def of_period(self, period: str, as_of: datetime | None = None) -> dict[str | None, ReportHead]:
        found = [
            h
            for h in self._heads.values()
            if h.period == period and (as_of is None or h.as_of <= as_of)
        ]
        return {head.definition: head for head in sorted(found, key=lambda head: head.as_of)}

    def metrics_of(self, ids: Collection[str]) -> dict[str, Document]:
        return {id: self._contents[id].metrics for id in ids}

    def newest_reports(
        self, limit: int, definitions: Collection[str] | None = None
    ) -> list[ReportHead]:
        found = [
            head
            for head in self._heads.values()
            if not head.empty and (definitions is None or head.definition in definitions)
        ]
        return sorted(found, key=lambda head: (head.start, head.id), reverse=True)[:limit]

    def unannounced(self, limit: int) -> list[ReportHead]:
        found = [head for head in self._heads.values() if not (head.empty or head.announced)]
        return sorted(found, key=lambda head: (head.as_of, head.id))[:limit]


class MemoryBacktests:
    """Port `Backtests`."""

    def __init__(self) -> None:
        self._runs: dict[str, Document] = {}
        self._segments: dict[str, dict[int, Document]] = {}
        self._files: dict[str, dict[int, Files]] = {}
        self._episodes: dict[str, list[Episode]] = {}
        self._pages: dict[str, str] = {}

    def begin(self, id: str, document: Document) -> Document:
        self._runs.setdefault(id, {"id": id, **plain(document)})
        return self._run(id)

    def store_segment(self, id: str, number: int, summary: Document, files: Files) -> None:
        self._files.setdefault(id, {})[number] = dict(files)
        self._segments.setdefault(id, {})[number] = plain(summary)

    def segment_files(self, id: str, number: int) -> dict[str, bytes]:
        return dict(self._files.get(id, {}).get(number, {}))

    def finish(self, id: str, results: Document, episodes: Sequence[Episode], page: str) -> None:
        self._runs[id] |= plain(results)
        self._episodes[id] = sorted(episodes, key=lambda e: (e.raised_at, e.id))
        self._pages[id] = page
        self._files.pop(id, None)

    def get(self, id: str) -> Document | None:
        return self._run(id) if id in self._runs else None

    def _run(self, id: str) -> Document:
        return {
            **self._runs[id],
            "segments": [summary for _, summary in sorted(self._segments.get(id, {}).items())],
        }

    def for_definition(self, definition: str) -> list[Document]:
        found = [self._run(id) for id, run in self._runs.items() if run["definition"] == definition]
        return sorted(found, key=lambda run: (run["begun_at"], run["id"]), reverse=True)

    def episodes(self, id: str) -> list[Episode]:
        return list(self._episodes.get(id, ()))

    def page(self, id: str) -> str | None:
        return self._pages.get(id)

    def forget(self, id: str) -> None:
        for stored in (self._runs, self._segments, self._files, self._episodes, self._pages):
            stored.pop(id, None)
