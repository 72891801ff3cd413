"""Which windows belong to which input of the model, and do they fit?"""

from __future__ import annotations

from collections.abc import Sequence

from workers.occlusion.windows import Box, Windows, misfit
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.refusals import SweepRefused


def over(ready: Prepared, tap: Tap, windows: Sequence[Box], strides: Sequence[Box]) -> Windows:
    """The windows over one input, which `unfit` has nothing against."""
    return Windows.of(tap.shape, _of(ready, tap, windows), _of(ready, tap, strides))


def unfit(ready: Prepared, tap: Tap, windows: Sequence[Box], strides: Sequence[Box]) -> str:
    """Why these windows, one for each input or one for all, do not part this tap; empty where they do."""
    if tap.key not in ready.inputs:
        return "parts of the input are hidden, and this is a layer; ask for layer_ablation"
    for name, given in (("windows", windows), ("strides", strides)):
        if len(given) not in (1, len(ready.inputs)):
            return (
                f"there are {len(given)} {name} for {len(ready.inputs)} inputs ({', '.join(ready.inputs)}); "
                "give one for each, or one for all"
            )
    return misfit(tap.shape, _of(ready, tap, windows), _of(ready, tap, strides))


def inputs_on_path(ready: Prepared) -> list[Tap]:
    """The inputs that the target depends on, in their order. Raises SweepRefused where there is none."""
    taps = [tap for tap in map(ready.probe.tap, ready.inputs) if tap.status == "on_path"]
    if not taps:
        raise SweepRefused("the target depends on no floating-point input, and no other can be hidden from it")
    return taps


def _of(ready: Prepared, tap: Tap, given: Sequence[Box]) -> Box:
    return given[0] if len(given) == 1 else given[ready.inputs.index(tap.key)]
