"""Which torch wrote the file, and does it come in? Recorded from real exports, and written as a page.

    python -m benchmarks.pt2_versions record FOLDER ...   # folders that pt2_export.py left, one for each version
    python -m benchmarks.pt2_versions                     # docs/intake/pt2-versions.md from what was recorded

Each version ran `pt2_export.py` in an environment of its own. Their files are not kept: what became of them is.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from service.clock import SystemClock
from workers.subject.formats import told
from workers.subject.pt2 import load, rewrite
from workers.subject.refusal import Refusal

RECORD = Path(__file__).parent / "pt2-versions.json"
PAGE = Path(__file__).parents[1] / "docs" / "intake" / "pt2-versions.md"
EQUAL = 3e-7
"""Largest difference from the network's own output that counts as equal: float32 kernels differ between versions."""
HEAD = """\
# Which versions of torch write files that come in

Four networks (an MLP with any batch size, a CNN with batch norm and dropout, a two-layer LSTM, a transformer encoder)
were exported by each version with `lamina/export.py`, and read by this service, which runs torch {reader}. Recorded on
{date} by `python -m benchmarks.pt2_versions record`; this page is generated from
[benchmarks/pt2-versions.json](../../benchmarks/pt2-versions.json).

| torch | layout of the file | MLP | CNN | LSTM | transformer | converted by torch {reader} |
| --- | --- | --- | --- | --- | --- | --- |
"""
TAIL = """
*loads*: the outputs for three examples differ from the network's own by at most {equal}. *converted*: whether a refused
file comes in after

```python
torch.export.save(torch.export.load("old.pt2"), "new.pt2")
```

which unpickles the old file: do it where you made it, and only with files you made. It needs torch 2.9 or newer.

## Why older files are refused

torch 2.6 and 2.7 write a layout of their own, torch 2.8 writes the present one with the weights as a pickle. A pickle
runs code when it is opened, so none is opened here. What is said of them:

{said}
The versions were the builds of the package index, without the libraries of graphics processors: importing torch and
exporting on the CPU need none of them, so empty libraries stood in their place.
"""


def recorded(folder: Path) -> dict[str, Any]:
    """What becomes of each file in a folder that pt2_export.py left."""
    written = json.loads((folder / "written.json").read_text())
    networks = {name: _tried(folder / f"{name}.pt2", entry) for name, entry in written["networks"].items()}
    return {
        "torch": str(written["torch"]).partition("+")[0],
        "layout": _layout(folder / f"{next(iter(networks))}.pt2"),
        "networks": networks,
    }


def _tried(path: Path, written: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        found = _read(path, Path(folder), written)
        if found["outcome"] == "refused":
            again = Path(folder) / "converted.pt2"
            try:
                torch.export.save(torch.export.load(path), again)  # our own file, made by pt2_export.py
            except Exception as error:  # noqa: BLE001  # whatever it raises is what a user would meet
                found["converted"] = f"no: {type(error).__name__}"
            else:
                found["converted"] = _read(again, Path(folder), written)["outcome"]
    return {"by": written["by"], **found}


def _read(path: Path, folder: Path, written: dict[str, Any]) -> dict[str, Any]:
    try:
        told(path)
        rewrite(path, folder / "canonical.pt2")
        model = load(folder / "canonical.pt2").model
    except Refusal as refusal:
        return {"outcome": "refused", "code": refusal.code, "detail": refusal.detail, "remedy": refusal.remedy}
    found = model(torch.tensor(written["inputs"]))
    difference = float((found - torch.tensor(written["outputs"])).abs().max())
    return {"outcome": "loads" if difference <= EQUAL else "differs", "difference": difference}


def _layout(path: Path) -> str:
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        program = next((name for name in names if "/models/" in name), None)
        if program is None:
            return "of its own, weights pickled"
        version = json.loads(file.read(program))["schema_version"]
    pickled = any(name.endswith(".pt") and "/data/weights/" in name for name in names)
    return f"schema {version['major']}.{version['minor']}, weights {'pickled' if pickled else 'as bytes'}"


def page(record: dict[str, Any]) -> str:
    """The page of what was recorded."""
    rows: list[str] = []
    said: dict[tuple[str, str], dict[str, None]] = {}
    for version in record["versions"]:
        networks = version["networks"].values()
        cells = [_cell(each) for each in networks]
        converted = {each["converted"] for each in networks if "converted" in each}
        shown = "not needed" if not converted else "yes" if converted == {"loads"} else ", ".join(sorted(converted))
        rows.append(f"| {version['torch']} | {version['layout']} | {' | '.join(cells)} | {shown} |\n")
        for each in networks:
            if each["outcome"] == "refused":
                said.setdefault((each["detail"], each["remedy"]), {})[version["torch"]] = None
    texts = []
    for (detail, remedy), versions in said.items():
        texts.append(f"```text\n# torch {', '.join(versions)}\n{detail}\n{remedy}\n```\n")
    head = HEAD.format(reader=record["reader"], date=record["date"])
    return head + "".join(rows) + TAIL.format(equal=f"{EQUAL:.0e}".replace("e-0", "e-"), said="\n".join(texts))


def _cell(found: dict[str, Any]) -> str:
    if found["outcome"] == "loads":
        return "loads"
    return f"refused, `{found['code']}`" if found["outcome"] == "refused" else f"differs by {found['difference']:.1g}"


def main() -> None:
    """Records what the folders hold, if any are named; writes the page."""
    if sys.argv[1:2] == ["record"]:
        found = [recorded(Path(folder)) for folder in sys.argv[2:]]
        found.sort(key=lambda version: [int(part) for part in version["torch"].split(".")])
        reader = torch.__version__.partition("+")[0]
        record = {"reader": reader, "date": SystemClock().now().strftime("%Y-%m-%d"), "versions": found}
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(json.loads(RECORD.read_text())))


if __name__ == "__main__":
    main()
