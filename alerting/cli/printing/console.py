"""Terminal output of commands: documents' text can send no control sequences."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from alerting.definitions.wording.clean_text import clean_text


class CleanConsole(Console):
    """Console that passes its own colours and cursor movements, and removes those in the text."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Return the printed segments with cleaned text."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else clean_text(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)
