"""Does a LIME analysis import anything once it has begun? In the sandbox it could not."""

from __future__ import annotations

import json

import pytest

PROBE = """
import json, os, sys
import torch
from tests import networks
from tests.workers import subjects
from workers.analyses import KINDS

threads = len(os.listdir("/proc/self/task"))
large = torch.nn.functional.interpolate(networks.points(2, 3, 6, 6).float().tanh(), scale_factor=8)
pictures = subjects.subject(networks.resnet().float(), large, torch.arange(2) % 5)
asked = [
    ("lime_image", pictures, {"segmentation": segmentation, "fill": fill, "engine": engine, "selection": selection}
    ) for segmentation, fill, engine, selection in (
        ("slic", "mean", "lamina", "auto"), ("quickshift", "blur", "lime", "lasso_path"),
        ("felzenszwalb", "colour", "lamina", "forward_selection"),
    )
]
asked += [("lime_tabular", subjects.classifier(), {"sampling": each}) for each in ("quartile", "entropy")]
asked += [("lime_text", subjects.speaks(), {}), ("lime_series", subjects.series(), {"settle": True})]
found = {}
for name, of, parameters in asked:
    before = set(sys.modules)
    subjects.answer(KINDS[name], of, samples=100, most=200, **parameters)
    found[f"{name} {parameters}"] = sorted(set(sys.modules) - before)
print(json.dumps({"late": {name: each for name, each in found.items() if each}, "threads": threads}))
"""


@pytest.mark.slow
def test_no_kind_of_lime_imports_anything_that_was_not_preloaded(preloaded):
    assert json.loads(preloaded(PROBE).splitlines()[-1]) == {"late": {}, "threads": 1}
