"""Does an analysis of corruptions import anything once it has begun? In the sandbox it could not."""

from __future__ import annotations

import json

import pytest

PROBE = """
import json, os, sys
import torch
from tests.workers import subjects
from tests.workers.corruption import made
from workers.analyses import KINDS

torch.set_num_threads(1)
asked = {
    "images": subjects.images(), "tables": subjects.classifier(), "series": subjects.series(),
    "texts": made.reads_texts([made.LETTERS, "the plot was good"]),
}
threads, found = len(os.listdir("/proc/self/task")), {}
for name, of in asked.items():
    before = set(sys.modules)
    subjects.answer(KINDS["corruption"], of)
    found[name] = sorted(set(sys.modules) - before)
print(json.dumps({"late": {name: each for name, each in found.items() if each}, "threads": threads}))
"""


@pytest.mark.slow
def test_no_corruption_imports_anything_that_was_not_preloaded(preloaded):
    assert json.loads(preloaded(PROBE).splitlines()[-1]) == {"late": {}, "threads": 1}
