"""Does an attack on texts import anything once it has begun? In the sandbox it could not."""

from __future__ import annotations

import json

import pytest

PROBE = """
import json, os, sys
import torch
from tests.workers import subjects
from tests.workers.robustness.text.made import planted
from workers.analyses import KINDS

torch.set_num_threads(1)
threads, of = len(os.listdir("/proc/self/task")), planted()
before = set(sys.modules)
subjects.answer(KINDS["robustness_text"], of, synonyms=[{"one": "good", "other": "great"}])
subjects.answer(KINDS["robustness_text"], subjects.speaks())
late = sorted(each for each in set(sys.modules) - before if not each.startswith("tests."))
print(json.dumps({"late": late, "threads": threads}))
"""


@pytest.mark.slow
def test_an_attack_imports_nothing_that_was_not_preloaded(preloaded):
    assert json.loads(preloaded(PROBE).splitlines()[-1]) == {"late": [], "threads": 1}
