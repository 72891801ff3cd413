"""What does the torch that runs this write? Four networks exported, with their outputs beside them.

Needs torch alone, of any version from 2.6; `benchmarks/pt2_versions.py` says how it is run and reads what it leaves:

    python pt2_export.py <repository> <folder>
"""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

ROWS = 3
NETWORKS = ("Mlp", "Cnn", "Lstm", "Transformer")


def by_path(path: Path) -> ModuleType:
    """A module of this repository without the packages around it, which need more than torch."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def written(model: torch.nn.Module, example: torch.Tensor, path: Path, exporter: ModuleType) -> dict[str, str]:
    """By the exporter; where that fails, by torch.export alone, with the reason."""
    try:
        exporter.export(model, example, path)
    except Exception as error:  # noqa: BLE001  # whatever an old version raises is what is recorded
        why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    else:
        return {"by": "lamina/export.py"}
    try:
        program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.export.save(program, path)
    except Exception as error:  # noqa: BLE001  # as above
        return {"by": "nothing", "why": f"{why}; {type(error).__name__}: {error}"[:600]}
    return {"by": "torch.export.save", "why": why}


def main() -> None:
    """Writes <network>.pt2 and written.json (inputs, outputs, who wrote it) into the folder."""
    repository, folder = Path(sys.argv[1]), Path(sys.argv[2])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    networks: Any = by_path(repository / "tests/workers/networks.py")
    exporter = by_path(repository / "lamina/export.py")
    found: dict[str, Any] = {}
    for name in NETWORKS:
        kind = getattr(networks, name)
        model = networks.made(kind).eval()
        x = torch.linspace(-1, 1, ROWS * torch.Size(networks.SHAPES[kind]).numel()).view(ROWS, *networks.SHAPES[kind])
        with torch.no_grad():
            output = model(x)
        found[name] = {
            **written(model, x[:2].clone(), folder / f"{name}.pt2", exporter),
            "inputs": x.tolist(),
            "outputs": output.tolist(),
        }
    (folder / "written.json").write_text(json.dumps({"torch": torch.__version__, "networks": found}))


if __name__ == "__main__":
    main()
