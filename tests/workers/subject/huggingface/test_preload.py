"""Is everything that a folder needs in memory before a job starts, and is nothing there that could reach out?"""

import json

import pytest

from service.contracts.job import InspectModel
from tests.workers.subject.huggingface.folders import HEADS, facts_for, packed, saved, token_facts, wordpiece
from tests.workers.test_child import PROBE

SEEN = """
import importlib.util, json, os, sys
from huggingface_hub import constants
from transformers.utils import import_utils
from workers.subject.huggingface.isolation import NEVER
print(json.dumps({
    "found": [name for name in NEVER if importlib.util.find_spec(name) is not None],
    "offline": constants.HF_HUB_OFFLINE,
    "kernels": import_utils.is_kernels_available(),
    "seen": [name for name in ("scipy", "torchvision", "bitsandbytes", "accelerate", "flash_attn_2")
             if getattr(import_utils, f"is_{name}_available")()],
    "threads": len(os.listdir("/proc/self/task")),
}))
"""


@pytest.mark.slow
def test_no_folder_makes_a_job_import_anything_or_start_a_thread(tmp_path, preloaded):
    """Every type and head, and one with a tokenizer, in forks of a process that imported workers.preload alone."""
    folders = []
    for name, architecture in [*HEADS, ("bert", "texts")]:
        folder = tmp_path / architecture
        (folder / "inputs").mkdir(parents=True)
        texts = architecture == "texts"
        source = saved(
            name, "BertForSequenceClassification" if texts else architecture, tmp_path / f"of {architecture}"
        )
        facts = token_facts(kind="text") if texts else facts_for(name, architecture)
        if texts:
            wordpiece(source)
        packed(source, folder / "inputs" / "source")
        (folder / "job.json").write_text(InspectModel(member="a1", facts=facts).model_dump_json())
        folders.append(folder)
    preloaded(PROBE, *map(str, folders))
    found = {folder.name: json.loads((folder / "said.json").read_text()) for folder in folders}
    assert found == {folder.name: {"grown": [], "threads": 1, "status": "inspected"} for folder in folders}


@pytest.mark.slow
def test_transformers_sees_no_hub_and_no_library_it_is_not_to_use(preloaded):
    assert json.loads(preloaded(SEEN)) == {"found": [], "offline": True, "kernels": False, "seen": [], "threads": 1}
