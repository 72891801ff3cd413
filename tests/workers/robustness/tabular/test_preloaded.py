"""Does an attack on a table import anything once it has begun? In the sandbox it could not."""

from __future__ import annotations

import json

import pytest

PROBE = """
import json, os, sys
import torch
from tests.workers import subjects
from tests.workers.robustness.tabular.tables import RULES, people
from workers.analyses import KINDS

torch.set_num_threads(1)
threads, of = len(os.listdir("/proc/self/task")), people(12)
before = set(sys.modules)
subjects.answer(KINDS["robustness_tabular"], of, **RULES)
print(json.dumps({"late": sorted(set(sys.modules) - before), "threads": threads}))
"""


@pytest.mark.slow
def test_an_attack_imports_nothing_that_was_not_preloaded(preloaded):
    assert json.loads(preloaded(PROBE).splitlines()[-1]) == {"late": [], "threads": 1}
