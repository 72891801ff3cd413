"""Does preprocessor_config.json say the same as the declared facts? It decides nothing; notes say where it differs."""

from typing import Any

from service.contracts.facts import ModelFacts
from workers.subject.archive import Archive
from workers.subject.huggingface.archive import CONFIG_BYTES, PREPROCESSOR, Folder, content_of
from workers.subject.huggingface.rules import Rule, Unfit, either, flag, maybe, named, number, several, whole
from workers.subject.huggingface.strict import read_object
from workers.subject.refusal import Refusal

_SIDE = whole(1, 8192)
_SIZE = either(_SIDE, named({"height": _SIDE, "width": _SIDE, "shortest_edge": _SIDE}))
_STATISTIC = several(number(-1e4, 1e4), 64)
_KEYS: dict[str, Rule] = {
    "do_resize": flag, "size": _SIZE, "resample": maybe(whole(0, 5)), "do_center_crop": maybe(flag),
    "crop_size": maybe(_SIZE), "do_rescale": flag, "rescale_factor": number(0, 1e4), "do_normalize": flag,
    "image_mean": maybe(_STATISTIC), "image_std": maybe(_STATISTIC), "crop_pct": maybe(number(0, 1)),
}  # fmt: skip
_FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


def compared(archive: Archive, folder: Folder, facts: ModelFacts, *, image: bool) -> list[str]:
    """Notes of what it says otherwise than `facts`, for a network of images. Raises Refusal for what is no value."""
    if PREPROCESSOR not in folder:
        return []
    found = read_object(content_of(archive, folder.path(PREPROCESSOR), CONFIG_BYTES), PREPROCESSOR)
    said: dict[str, Any] = {}
    for key, rule in _KEYS.items():
        if key in found:
            try:
                said[key] = rule(found[key])
            except Unfit as unfit:
                raise Refusal(
                    "preprocessor",
                    f"{PREPROCESSOR}: {key} must be {unfit}",
                    "Save it again with image_processor.save_pretrained(folder), or leave it out.",
                ) from unfit
    return [*_size(said, facts), *_numbers(said, facts)] if image else []


def _size(said: dict[str, Any], facts: ModelFacts) -> list[str]:
    side = said.get("crop_size") if said.get("do_center_crop") and said.get("crop_size") else said.get("size")
    if isinstance(side, dict):
        side = (side.get("height"), side.get("width")) if "height" in side else side.get("shortest_edge")
    sides = (side, side) if isinstance(side, int) else side
    declared = facts.input.shape[1:]
    if not sides or said.get("do_resize") is False or tuple(sides) == declared:
        return []
    method = _FILTERS[said["resample"]] if said.get("resample") is not None else "an unnamed filter"
    note = (
        f"{PREPROCESSOR} brings images to {sides[0]} x {sides[1]} by {method}; facts.input.shape declares"
        f" {' x '.join(map(str, declared))}"
    )
    return [note]


def _numbers(said: dict[str, Any], facts: ModelFacts) -> list[str]:
    """Raw values to network input: the file rescales and normalises values of 0 to 255; facts do (raw - mean) / std."""
    low, high = min(facts.input.bounds.low), max(facts.input.bounds.high)
    top = next((top for top in (1.0, 255.0) if (low, high) == (0.0, top)), None)
    if top is None:
        return [f"{PREPROCESSOR} speaks of values of 0 to 255; it is not compared with bounds of {low:g} to {high:g}"]
    scale = said.get("rescale_factor", 1 / 255) * 255 / top if said.get("do_rescale", True) else 255 / top
    normal = said.get("do_normalize", True)
    mean = said.get("image_mean") if normal else None
    std = said.get("image_std") if normal else None
    means = [value / scale for value in mean or [0.0]]
    stds = [value / scale for value in std or [1.0]]
    notes = []
    for name, its, declared in (
        ("mean", means, facts.input.preprocessing.mean), ("std", stds, facts.input.preprocessing.std)
    ):  # fmt: skip
        if not _same(its, declared):
            notes.append(
                f"{PREPROCESSOR} amounts to preprocessing.{name} {_shown(its)} for raw values of 0 to {top:g};"
                f" facts.input.preprocessing.{name} declares {_shown(declared)}"
            )
    return notes


def _same(its: list[float], declared: tuple[float, ...]) -> bool:
    width = max(len(its), len(declared))
    if len(its) not in (1, width) or len(declared) not in (1, width):
        return False
    pairs = [(its[at % len(its)], declared[at % len(declared)]) for at in range(width)]
    return all(abs(a - b) <= 1e-3 * max(abs(a), abs(b), 1e-3) for a, b in pairs)


def _shown(values: list[float] | tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values[:8]) + "]"
