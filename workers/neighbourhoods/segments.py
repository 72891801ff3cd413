"""Which pixels of an image are hidden together?

A map from pixels to segments 0 to K - 1: a grid, one of scikit-image's segmentations, or one that is given. Where
labels begin at 1, lime 0.2.0.1, which hides label j for feature j, hides nothing for its first feature and never the
last segment; here labels are renumbered in their order, whatever they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from skimage.segmentation import felzenszwalb, quickshift, slic

from workers.kind import AnalysisError
from workers.surrogate.neighbourhood import Floats

Segmentation = Literal["auto", "grid", "slic", "quickshift", "felzenszwalb", "given"]
Labels = NDArray[np.int64]

FEWEST, MOST = 4, 1024
"""With fewer segments nothing is ranked; with more the surrogate's K x K sums outgrow a small child's memory."""

_GRID_BELOW = 32
_FAR_FROM_GRID = 'Ask for segmentation "grid" or "slic"'


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings:
    """segmentation: "auto" is a grid where the shorter side is below 32 pixels, else SLIC.

    cells: of a grid, along each side, at most one for each pixel. segments, compactness, sigma (pixels): of SLIC, about
    how many, how square, how smoothed before. kernel_size, max_dist (pixels) and ratio: of quickshift, as lime 0.2.0.1
    has them. scale, min_size (pixels): of felzenszwalb, which is smoothed by `smoothing` pixels. seed: of what
    quickshift breaks ties with, scikit-image's own. given: a label for each pixel, H rows of W.
    """

    segmentation: Segmentation = "auto"
    cells: int = 8
    segments: int = 50
    compactness: float = 10.0
    sigma: float = 1.0
    kernel_size: float = 4.0
    max_dist: float = 200.0
    ratio: float = 0.2
    scale: float = 100.0
    smoothing: float = 0.8
    min_size: int = 20
    seed: int = 42
    given: tuple[tuple[int, ...], ...] = ()

    def method(self, height: int, width: int) -> Segmentation:
        """What "auto" stands for at this size; never "auto"."""
        if self.segmentation != "auto":
            return self.segmentation
        return "grid" if min(height, width) < _GRID_BELOW else "slic"


@dataclass(frozen=True, eq=False)
class Segments:
    """A partition of a picture.

    labels: (H, W), 0 to count - 1, every one of them there. names: one for each. made: by which method and with which
    of its settings.
    """

    labels: Labels
    names: tuple[str, ...]
    made: dict[str, JsonValue]

    @property
    def count(self) -> int:
        """K."""
        return len(self.names)

    @cached_property
    def sizes(self) -> Labels:
        """(K,): pixels of each."""
        return np.bincount(self.labels.ravel(), minlength=self.count)

    def means(self, image: Floats) -> Floats:
        """(channels, K): of an image (channels, H, W); of a segment of one colour exactly that."""
        flat = self.labels.ravel()
        pixels = image.reshape(len(image), -1)
        origin = pixels[:, np.unique(flat, return_index=True)[1]]
        about = pixels - origin[:, flat]
        sums = [np.bincount(flat, weights=channel, minlength=self.count) for channel in about]
        return np.asarray(origin + np.stack(sums) / self.sizes)

    def as_json(self) -> dict[str, JsonValue]:
        """How it was made, and a digest of what came of it: equal partitions give equal values."""
        digest = hashlib.sha256(np.ascontiguousarray(self.labels, dtype="<i8").tobytes()).hexdigest()
        return {**self.made, "count": self.count, "shape": list(self.labels.shape), "labels_digest": digest}


def segments(colours: Floats, settings: SegmentSettings) -> Segments:
    """The segments of one picture.

    colours: (H, W, 3) in [0, 1]. Raises AnalysisError where there are fewer than 4 or more than 1024 segments, and
    where those given do not fit.
    """
    height, width = colours.shape[:2]
    method = settings.method(height, width)
    if method == "grid":
        made = _grid(height, width, settings.cells)
    elif method == "given":
        made = _numbered(_given(settings.given, height, width), {"segmentation": "given"})
    else:
        parameters = _parameters(method, settings)
        made = _numbered(_run(method, colours, parameters), {"segmentation": method, **parameters})
    _require_some(made.count, method, height, width)
    return made


_ALGORITHMS: dict[str, Callable[..., object]] = {"slic": slic, "quickshift": quickshift, "felzenszwalb": felzenszwalb}


def _run(method: str, colours: Floats, parameters: dict[str, JsonValue]) -> NDArray[np.generic]:
    """(H, W)."""
    try:
        return np.asarray(_ALGORITHMS[method](colours, **parameters))
    except (ValueError, ZeroDivisionError) as error:
        said = ", ".join(f"{name}={value}" for name, value in parameters.items())
        raise _refused(f"{method} does not run with {said}: {error}", "Ask for its default settings.") from error


def _parameters(method: str, settings: SegmentSettings) -> dict[str, JsonValue]:
    """As scikit-image calls them."""
    if method == "slic":
        return {
            "n_segments": settings.segments, "compactness": settings.compactness, "sigma": settings.sigma,
            "start_label": 0,
        }  # fmt: skip
    if method == "quickshift":
        return {
            "kernel_size": settings.kernel_size, "max_dist": settings.max_dist, "ratio": settings.ratio,
            "rng": settings.seed,
        }  # fmt: skip
    return {"scale": settings.scale, "sigma": settings.smoothing, "min_size": settings.min_size}


def _grid(height: int, width: int, cells: int) -> Segments:
    """Cells of equal size, within a pixel; in reading order."""
    if cells < 1:
        raise _refused(f"a grid has at least one cell along each side, not {cells}", "Ask for cells between 2 and 32.")
    down, across = min(cells, height), min(cells, width)
    rows = np.arange(height, dtype=np.int64) * down // height
    columns = np.arange(width, dtype=np.int64) * across // width
    names = tuple(f"row {row}, column {column}" for row in range(down) for column in range(across))
    made: dict[str, JsonValue] = {"segmentation": "grid", "rows": down, "columns": across}
    return Segments(rows[:, None] * across + columns[None, :], names, made)


def _given(labels: tuple[tuple[int, ...], ...], height: int, width: int) -> NDArray[np.generic]:
    """(H, W)."""
    lengths = {len(row) for row in labels}
    if len(labels) != height or lengths != {width}:
        across = f"rows of {' and '.join(map(str, sorted(lengths)))}" if lengths else "no rows"
        raise _refused(
            f"the segments given have {len(labels)} rows ({across}) and the image has {height} rows of {width} pixels",
            "Give one whole number for each pixel.",
        )
    found = np.asarray(labels)
    if found.dtype.kind not in "iu":
        raise _refused("the segments given are not all whole numbers below 2^63", "Give one number for each segment.")
    return found


def _numbered(labels: NDArray[np.generic], made: dict[str, JsonValue]) -> Segments:
    """Labels renumbered 0 to K - 1 in their own order; the names keep the numbers that were given."""
    known, flat = np.unique(labels, return_inverse=True)
    names = tuple(f"segment {label}" for label in known.tolist())
    return Segments(flat.reshape(labels.shape).astype(np.int64), names, made)


def _require_some(count: int, method: str, height: int, width: int) -> None:
    found = f"{method} gives {count} segment{'' if count == 1 else 's'} of this image of {height} x {width} pixels"
    if count < FEWEST:
        raise _refused(
            f"{found}, and a surrogate ranks at least {FEWEST}",
            {
                "grid": "Ask for more cells.",
                "slic": 'Ask for more segments, or for segmentation "grid".',
                "quickshift": f"{_FAR_FROM_GRID}, or for a smaller max_dist.",
                "felzenszwalb": f"{_FAR_FROM_GRID}, or for a smaller scale and min_size.",
                "given": f"Give at least {FEWEST} different numbers.",
            }[method],
        )
    if count > MOST:
        raise _refused(
            f"{found}, and a surrogate reads at most {MOST}",
            {
                "grid": "Ask for fewer cells.",
                "slic": "Ask for fewer segments.",
                "quickshift": "Ask for a larger kernel_size or max_dist.",
                "felzenszwalb": "Ask for a larger scale or min_size.",
                "given": f"Give at most {MOST} different numbers.",
            }[method],
        )


def _refused(detail: str, remedy: str) -> AnalysisError:
    return AnalysisError("segments", detail, remedy=remedy)
