"""Pictures of mails give their memory back."""

import json
import subprocess
import sys
from pathlib import Path

DRAW = """
import gc, json, psutil
from alerting.reporting.pictures import png
from alerting.reporting.charts import Plot, number_ticks

gc.set_threshold(100_000)  # as in the tasks that deliver
plots = []
for title in ("temperature", "moisture", "pressure"):
    plot = Plot((0, 320), (0, 10), title=title, y_ticks=number_ticks(0, 10))
    plot.line(range(320), [step * 7 % 10 for step in range(320)])
    plot.dots(range(0, 320, 16), [5] * 20)
    plots.append(plot)
memory = []
for _ in range(40):
    png(plots)
    memory.append(psutil.Process().memory_info().rss / 2**20)
print(json.dumps(memory))
"""


def test_the_last_of_many_pictures_needs_little_more_memory_than_the_first_ten():
    root = Path(__file__).parents[2]
    drawn = subprocess.run([sys.executable, "-c", DRAW], cwd=root, stdout=-1, check=True)
    memory = json.loads(drawn.stdout)
    assert len(memory) == 40
    assert max(memory[10:]) - max(memory[:10]) < 4
    assert max(memory) - memory[0] < 8
