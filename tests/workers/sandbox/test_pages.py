"""Is the memory of a zygote in few large pages, and is it still the same memory?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = """
import ctypes, mmap, pathlib
from workers.sandbox import pages
block = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(block), 4096):
    block[at:at + 8] = at.to_bytes(8, "little")
made = pages.collapse()
assert all(block[at:at + 8] == at.to_bytes(8, "little") for at in range(0, len(block), 4096))
rollup = pathlib.Path("/proc/self/smaps_rollup").read_text()
huge = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("AnonHugePages"))
print(made, huge // 2048)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has huge pages on demand")
def test_what_is_filled_lies_in_huge_pages_and_is_unchanged() -> None:
    repository = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", TEXT], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(repository)}
    )
    made, huge = (int(word) for word in done.stdout.split())
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if release < (6, 1) or made == 0:
        pytest.skip("this kernel makes no huge pages on demand, or has no room for one")
    assert made <= huge
    assert made >= 1
