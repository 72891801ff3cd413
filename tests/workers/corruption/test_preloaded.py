"""Does an analysis of corruptions import anything once it has begun? In the sandbox it could not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import json, os, sys
import torch
from tests.workers import subjects
from tests.workers.corruption import made
import workers.preload
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
def test_no_corruption_imports_anything_that_was_not_preloaded():
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=200,
        check=False, env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"late": {}, "threads": 1}
