"""Infer the type of a variable from the text cells of a whole foreign column."""

from dataclasses import dataclass, field

from alerting.definitions.assets import VariableType


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be imported, its faulty column (None: all of it), and why."""

    line: int
    column: str | None
    reason: str
    original: str

    @property
    def text(self) -> str:
        """Return its line, column and reason."""
        if not self.column:
            return f"{self.line}: {self.reason}"
        return f"{self.line}, column {self.column}: {self.reason}"

    def __str__(self) -> str:
        return str(self.text)


@dataclass
class ColumnProfile:
    """Counts of the cells of one column. Every filled cell is counted once; `first_…` store the
    first few examples.

    `marked`: cells with a sign for a missing value, which are not filled; `marks` counts the
    commonest signs. `faults`: texts that mean that there was no value (`Bad`), unless the column
    contains text; `common_texts` counts the commonest texts. `grouped`: chunks with numbers that
    are readable only with a mark between thousands. `every_ms`: usual distance of values, where
    they are much rarer than the lines. `bad_quality`: samples that their source calls bad; their
    cells are counted nowhere else.
    """

    title: str
    name: str
    numbers: int = 0
    infinite: int = 0
    booleans: int = 0
    texts: int = 0
    not_boolean: int = 0
    decimal_commas: int = 0
    grouped: int = 0
    marked: int = 0
    faults: int = 0
    every_ms: int | None = None
    marks: dict[str, int] = field(default_factory=dict)
    common_texts: dict[str, int] = field(default_factory=dict)
    bad_quality: int = 0
    uncertain: int = 0
    first_not_number: list[BadLine] = field(default_factory=list)
    first_not_boolean: list[BadLine] = field(default_factory=list)

    @property
    def filled(self) -> int:
        """Return the number of cells with any content."""
        return self.numbers + self.infinite + self.booleans + self.texts

    def inferred(self) -> VariableType | None:
        """Return number if more than half of the filled cells are numbers, boolean if all are true
        or false, else category.

        None for a column without any value. The rest of a mostly numeric column are bad cells,
        never categories. Words such as `Bad` do not count against a number.
        """
        if not self.filled:
            return None
        numeric = self.numbers + self.infinite
        if numeric and 2 * numeric > self.filled - self.faults:
            return "number"
        return "boolean" if self.booleans == self.filled else "category"

    def attribute_type(self) -> VariableType | None:
        """Return the attribute's type: number or boolean if all cells are, else text."""
        inferred = self.inferred()
        return "category" if inferred and self.bad(inferred)[0] else inferred

    def bad(self, type: VariableType) -> tuple[int, list[BadLine]]:
        """Return how many cells are no value of this type, and the first few lines of them."""
        match type:
            case "number":
                return self.filled - self.numbers, self.first_not_number
            case "boolean":
                return self.not_boolean, self.first_not_boolean
        return 0, []

    def written_with_decimal_comma(self) -> bool:
        """Return whether it becomes a category though most texts are numbers as `12,5`."""
        return self.inferred() == "category" and 2 * self.decimal_commas > self.texts
