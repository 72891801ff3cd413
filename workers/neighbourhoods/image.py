"""What does the network read of an image of which some segments are hidden?

As in lime 0.2.0.1 (`lime_image`): each segment is shown or hidden by a fair coin, a hidden one is filled, and the
distance from the example is the cosine distance between its row of ones and a sample's. Filling is linear in what
preprocessing makes of a pixel, so that samples are put together from two images that the network could read itself.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal, cast

import numpy as np
import torch
from pydantic import JsonValue
from scipy.ndimage import gaussian_filter
from torch import Tensor

from service.contracts.facts import InputFacts
from workers.kind import AnalysisError
from workers.neighbourhoods.segments import Segments, SegmentSettings, segments
from workers.passes.predicting import Predicting
from workers.pictures.overlay import in_colour
from workers.subject.subject import along_channels
from workers.surrogate.neighbourhood import Floats, Samples

KERNEL_WIDTH = 0.25
"""lime's, in cosine distance."""

_BLUR_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings(SegmentSettings):
    """What is hidden together, and what stands in its place.

    fill: a segment's mean colour, the image blurred, or one colour. blur: standard deviation in pixels; 0 for a tenth
    of the shorter side. colour: raw units, one number for all channels or one for each; one 0 where none is given.
    """

    fill: Literal["mean", "blur", "colour"] = "mean"
    blur: float = 0.0
    colour: tuple[float, ...] = (0.0,)

    def as_json(self) -> dict[str, JsonValue]:
        """For provenance."""
        return cast("dict[str, JsonValue]", {name: _listed(value) for name, value in asdict(self).items()})


def _listed(value: object) -> object:
    return [_listed(each) for each in value] if isinstance(value, tuple) else value


class Coins:
    """Rows of fair coins as lime draws them: RandomState(seed).randint(0, 2), row after row.

    The first row is drawn and replaced by ones, the example. paired: a row drawn is followed by its mirror image.
    """

    def __init__(self, features: int, seed: int, *, paired: bool) -> None:
        self._random, self._features, self._paired = np.random.RandomState(seed), features, paired
        self._taken, self._drawn = 0, 0
        self._last = np.zeros((0, features), dtype=np.int64)

    def take(self, count: int) -> Samples:
        """The next `count` rows; `drawn` is z itself."""
        at = np.arange(self._taken, self._taken + count)
        row = (at + 1) // 2 if self._paired else at
        fresh = max(0, int(row[-1]) + 1 - self._drawn) if count else 0
        coins = self._random.randint(0, 2, fresh * self._features).reshape(fresh, self._features)
        rows = np.concatenate([self._last, coins])
        self._taken, self._drawn, self._last = self._taken + count, self._drawn + fresh, rows[-1:]
        z = rows[row - (self._drawn - len(rows))].astype(np.float64)
        if self._paired:
            mirrored = at % 2 == 0
            z[mirrored] = 1 - z[mirrored]
        z[at == 0] = 1
        return Samples(z=z, distances=1 - np.sqrt(z.mean(axis=1)), drawn=z)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ImageNeighbourhood:
    """One example of a network that reads an image, segments of it hidden.

    segments: its K features. picture: the example in colour, (3, H, W) in [0, 1]. filled: the same with every segment
    hidden. inert: the segments that look the same when they are hidden, so that no network can miss them.
    example: what the network reads, one row for each input. hidden: one row of input number `position`, all segments
    hidden. places: the segment of each of its elements, 1 along the axis of channels.
    """

    segments: Segments
    picture: Tensor
    filled: Tensor
    inert: tuple[int, ...]
    settings: ImageSettings
    example: tuple[Tensor, ...]
    hidden: Tensor
    position: int
    places: Tensor

    @property
    def names(self) -> tuple[str, ...]:
        """Of the segments."""
        return self.segments.names

    @property
    def kernel_width(self) -> float:
        """lime's."""
        return KERNEL_WIDTH

    @property
    def binary(self) -> bool:
        """Shown or hidden."""
        return True

    def stream(self, seed: int, paired: bool) -> Coins:
        """lime's own samples for `RandomState(seed)` where not paired. seed: below 2**32."""
        return Coins(self.segments.count, seed, paired=paired)

    def inputs(self, samples: Samples) -> tuple[Tensor, ...]:
        """The image with the segments shown that are 1, bit for bit the example's where all are; other inputs repeat.

        torch.lerp gives exactly one end where a weight is 0 and the other where it is 1; torch.where on a mask that is
        broadcast gives the same and takes many times as long.
        """
        shown = self.example[self.position]
        z = torch.from_numpy(samples.z).to(shown)
        weights = z.index_select(1, self.places.flatten()).view(-1, *self.places.shape)
        masked = torch.lerp(self.hidden, shown, weights)
        return tuple(
            masked if position == self.position else each.repeat(len(z), *[1] * (each.ndim - 1))
            for position, each in enumerate(self.example)
        )

    def as_json(self) -> dict[str, JsonValue]:
        """How the image is parted and filled."""
        made: dict[str, JsonValue] = {
            "kind": "image", "input": self.position, "fill": self.settings.fill, **self.segments.as_json(),
        }  # fmt: skip
        if self.settings.fill == "blur":
            made["blur"] = _sigma(self.settings, self.segments.labels.shape)
        if self.settings.fill == "colour":
            made["colour"] = list(self.settings.colour)
        return made


def image(case: Predicting, index: int, settings: ImageSettings) -> ImageNeighbourhood:
    """The neighbourhood of example `index`: of the first input that is an image.

    Three channels are colours for the segmentation, any other number the grey of their mean; bounds are black and
    white. Raises AnalysisError where there is no image, its values are not finite, it has fewer than 4 segments or
    none that can be missed, or what is given of segments or colours does not fit it.
    """
    position = _image_input(case)
    facts = case.subject.declared[position]
    shown = case.x[position][index : index + 1]
    given = case.raw[position][index : index + 1].cpu()
    raw = given.double()
    if not bool(torch.isfinite(raw).all()):
        raise AnalysisError(
            "image", f"the image of example {index} holds NaN or infinity", remedy="Leave that example out."
        )
    planes = _planes(raw, facts)
    picture = _in_unit(raw, facts)
    settings = _with_something_to_hide(settings, planes.shape[1], planes.shape[2])
    found = segments(picture.permute(1, 2, 0).numpy(), settings)
    filled = _filled(planes, found, settings, facts)
    hidden_raw = _laid_out(filled, facts)
    hidden = case.subject.prepared(hidden_raw.to(shown), position)
    places = _laid_out(found.labels[None], facts)[0].contiguous().to(shown.device)
    inert = _inert(found, _planes(hidden_raw.to(given) - given, facts))
    if len(inert) == found.count:
        raise AnalysisError(
            "image",
            f"each of the {found.count} segments of example {index} looks the same when it is hidden",
            remedy='Ask for fill "colour" or "blur", or for larger segments.',
        )
    return ImageNeighbourhood(
        segments=found, picture=picture, filled=_in_unit(hidden_raw, facts), settings=settings, position=position,
        example=tuple(each[index : index + 1] for each in case.x), hidden=hidden, places=places,
        inert=inert,
    )  # fmt: skip


def _with_something_to_hide(settings: ImageSettings, height: int, width: int) -> ImageSettings:
    """Of the grid that "auto" makes no cell is a single pixel, whose mean is itself."""
    if settings.segmentation != "auto" or settings.fill != "mean" or settings.method(height, width) != "grid":
        return settings
    return replace(settings, cells=min(settings.cells, max(2, min(height, width) // 2)))


def _image_input(case: Predicting) -> int:
    for position, facts in enumerate(case.subject.declared):
        letters = facts.layout[1:]
        if facts.kind == "image" and sorted(letters) in (sorted("HW"), sorted("CHW")):
            return position
    declared = ", ".join(f"{facts.kind} {facts.layout}" for facts in case.subject.declared)
    raise AnalysisError(
        "image",
        f"no input of the model is declared as an image with the axes H, W and at most C; it reads {declared}",
        remedy="Declare the input as what it is, or ask for the LIME of its own kind.",
    )


def _planes(batch: Tensor, facts: InputFacts) -> Floats:
    """(channels, H, W) of one row laid out as `facts` says."""
    letters = facts.layout
    if "C" not in letters:
        return np.asarray(batch.permute(0, letters.index("H"), letters.index("W")).numpy())
    return np.asarray(batch.permute(0, letters.index("C"), letters.index("H"), letters.index("W"))[0].numpy())


def _laid_out(planes: Floats | np.ndarray[tuple[int, ...], np.dtype[np.int64]], facts: InputFacts) -> Tensor:
    """One row (1, ...) of planes (channels, H, W); channels may be 1."""
    letters = facts.layout[1:]
    made = torch.from_numpy(np.ascontiguousarray(planes))
    if "C" not in letters:
        return made.permute(0, *("NHW".index(letter) for letter in letters))
    return made.permute(*("CHW".index(letter) for letter in letters)).unsqueeze(0)


def _in_unit(raw: Tensor, facts: InputFacts) -> Tensor:
    """(3, H, W) in [0, 1], of one row in raw units."""
    low, high = (along_channels(values, facts, raw) for values in (facts.bounds.low, facts.bounds.high))
    return in_colour(torch.from_numpy(_planes((raw - low) / (high - low), facts).copy()))


def _filled(planes: Floats, parts: Segments, settings: ImageSettings, facts: InputFacts) -> Floats:
    """(channels, H, W) in raw units: every segment hidden."""
    if settings.fill == "mean":
        return parts.means(planes)[:, parts.labels]
    if settings.fill == "blur":
        sigma = _sigma(settings, parts.labels.shape)
        if not sigma > 0:
            raise AnalysisError("blur", f"nothing is blurred by {sigma:g} pixels", remedy="Give more than 0.")
        return np.stack([gaussian_filter(plane, sigma, mode="nearest") for plane in planes])
    colour = _colour(settings.colour, len(planes), facts)
    return np.broadcast_to(colour[:, None, None], planes.shape)


def _sigma(settings: ImageSettings, shape: tuple[int, ...]) -> float:
    return settings.blur or _BLUR_SHARE * min(shape)


def _colour(colour: tuple[float, ...], channels: int, facts: InputFacts) -> Floats:
    """(channels,), in raw units."""
    if len(colour) not in (1, channels):
        raise AnalysisError(
            "colour",
            f"the colour has {len(colour)} numbers and the image {channels} channels",
            remedy=f"Give 1 number, or {channels}.",
        )
    found = np.resize(np.asarray(colour, dtype=np.float64), channels)
    low, high = (np.resize(np.asarray(values), channels) for values in (facts.bounds.low, facts.bounds.high))
    if not bool(((low <= found) & (found <= high)).all()):
        raise AnalysisError(
            "colour",
            f"the colour {', '.join(f'{one:g}' for one in colour)} lies outside the declared bounds",
            remedy="Give it in raw units, as the images are, between the declared low and high of each channel.",
        )
    return found


def _inert(parts: Segments, change: Floats) -> tuple[int, ...]:
    """The segments in which no element changes; change: (channels, H, W)."""
    moved = np.bincount(parts.labels.ravel(), weights=(change != 0).any(axis=0).ravel(), minlength=parts.count)
    return tuple(np.flatnonzero(moved == 0).tolist())
