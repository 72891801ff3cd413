"""What do the layers show of a network of which no gradient can be asked? Its values, from forward passes alone.

A network that is random, or that mixes the examples of a batch, still has layers whose values can be read: those
before the randomness, and those before the mixing. Each is found by comparing passes of the same two examples.
"""

import torch
from torch import Tensor

from workers.subject.auditable import COUPLED, RANDOM, UNTOLD, Seen, verdict, without_gradients
from workers.subject.network import Loaded
from workers.sweep.layout import Layout, alike, candidates
from workers.sweep.looks import Looks, Place
from workers.sweep.refusals import CoupledExamples, NotRepeatable


def forward_only(loaded: Loaded, pair: tuple[Tensor, ...], why: Exception, most_calls: int) -> dict[str, Seen]:
    """Every layer that runs, by name; `why` is what the probe said. `pair`: two examples for each input.

    Shapes of at most `most_calls` calls are kept. Raises SweepRefused where no batch size is accepted.
    """
    looks = Looks.take(loaded.model, pair, loaded.batch)
    calls: dict[str, list[Place]] = {}
    for place in looks.first.seen:
        if place[2] == 0:
            calls.setdefault(place[0], []).append(place)
    return {layer: _seen(looks, places, why, most_calls) for layer, places in calls.items()}


def _seen(looks: Looks, places: list[Place], why: Exception, most_calls: int) -> Seen:
    settled = {place: _layout(looks, place) for place in places}
    unsteady = next((place for place in places if settled[place] is None), None)
    values = verdict("auditable") if unsteady is None else verdict("not_applicable", _unsteady(why))
    reason = without_gradients(why)
    return Seen(
        calls=len(places),
        shapes=tuple(_words(looks, place, settled[place]) for place in places[:most_calls]),
        auditable="forward_only",
        reason=reason,
        forward=values,
        gradient=verdict("not_applicable", reason),
        units=None,
    )


def _layout(looks: Looks, place: Place) -> Layout | None:
    """Where the examples lie, if each gives the same values wherever it stands; None also where it does not run."""
    if any(place not in look.seen for look in (looks.swapped, looks.alone)):
        return None
    a, swapped, alone = (look.seen[place].copy for look in (looks.first, looks.swapped, looks.alone))
    if not a.shape == swapped.shape == alone.shape:
        return None
    rows = looks.first.rows
    if rows == 1:
        return next(iter(_possible(looks, place)), None) if alike(a, alone) else None
    for layout in _possible(looks, place):
        one, two, same = (layout.split(tensor, rows) for tensor in (a, swapped, alone))
        if alike(one[0], two[1]) and alike(one[1], two[0]) and alike(one[0], same[0]):
            return layout
    return Layout(None) if torch.equal(a, swapped) and torch.equal(a, alone) else None


def _possible(looks: Looks, place: Place) -> list[Layout]:
    other = None if looks.other is None else looks.other.seen[place].copy.shape
    return candidates(
        looks.first.seen[place].copy.shape, looks.first.rows, other, 0 if looks.other is None else looks.other.rows
    )


def _unsteady(why: Exception) -> str:
    if isinstance(why, NotRepeatable):
        return RANDOM
    return COUPLED if isinstance(why, CoupledExamples) else UNTOLD


def _words(looks: Looks, place: Place, layout: Layout | None) -> tuple[str, ...]:
    """The shape as text; where values do not say which axis is the batch, the shapes propose."""
    shape = looks.first.seen[place].copy.shape
    return shape_words(shape, layout or next(iter(_possible(looks, place)), None))


def shape_words(shape: torch.Size, layout: Layout | None) -> tuple[str, ...]:
    """A shape as a manifest shows it: N where the batch lies, kN where k entries of each example are folded in."""
    words = [str(size) for size in shape]
    if layout is not None and layout.axis is not None and layout.axis < len(words):
        words[layout.axis] = "N" if layout.factor == 1 else f"{layout.factor}N"
    return tuple(words[:16])
