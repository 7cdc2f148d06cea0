"""What commands print to a terminal: text of documents cannot give it commands, nor turn what stands beside it around."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from alerting.definitions.wording.clean_text import clean_text


class CleanConsole(Console):
    """A console whose own colours and cursor movements pass, and no others."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed, with their text cleaned."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else clean_text(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)
