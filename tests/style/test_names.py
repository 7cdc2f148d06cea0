"""Names that can be searched for: functions are called by verb and noun, a class name means one
thing."""

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_SEARCHABLE = "of|put|newest|latest|between|within"
# In the package also these; properties apart, which are read like fields.
PREPOSITIONS = (
    "about|above|across|after|again|among|around|at|before|since|some|then|together|until|upwards"
    "|without"
)
EVERYWHERE = re.compile(rf"^ *(?:async )?def _?(?:{NOT_SEARCHABLE})\(", re.MULTILINE)
IN_PACKAGE = re.compile(rf"(?<!property\n)^ *(?:async )?def (?:{PREPOSITIONS})\(", re.MULTILINE)
CLASS = re.compile(r"^ *class (\w+)", re.MULTILINE)


def found(pattern, *folders):
    """Yield the place and the match of a pattern in the code of some folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            for match in pattern.finditer(source):
                line = source.count("\n", 0, match.start()) + 1
                yield f"{path.relative_to(ROOT)}:{line}", match


def test_no_function_is_called_by_a_word_that_cannot_be_searched_for():
    everywhere = found(EVERYWHERE, "alerting", "dags", "tests", "benchmarks", "tools")
    names = [(place, match[0]) for place, match in everywhere]
    names += [(place, match[0]) for place, match in found(IN_PACKAGE, "alerting")]
    assert names == []


def test_a_class_name_means_one_thing():
    places = defaultdict(list)
    for place, match in found(CLASS, "alerting", "dags"):
        places[match[1]].append(place)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
