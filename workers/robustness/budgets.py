"""How far is an example moved where nobody says how far?"""

from __future__ import annotations

from math import sqrt

from workers.passes.attacked import RAW, Attacked, elements

_OF_SPAN = tuple(each / 255 for each in (1, 2, 4, 8, 16, 32))
"""Of the range of a pixel: from one step of 8 bits to an eighth of all."""
_OF_UNIT = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Standard deviations; norms of a token."""
_AROUND = (0.25, 0.5, 1.0, 2.0)
"""Times the budget that the owner claims."""


def default_epsilons(attacked: Attacked) -> tuple[float, ...]:
    """Around the budget that the model's owner claims (L-infinity, pictures); else multiples of 1/255 of the declared
    range, or parts of a standard deviation or a token's norm. For L2 times half of the root of the number of
    elements, at least once."""
    linf = attacked.space.norm == "linf"
    claimed = attacked.subject.facts.epsilon
    picture = attacked.facts.kind in RAW and not attacked.embedded
    if picture and linf and claimed and attacked.input == 0:
        return tuple(each * claimed for each in _AROUND)
    wider = 1.0 if linf else max(1.0, sqrt(elements(attacked.x)) / 2)
    if picture:
        span = float((attacked.space.high - attacked.space.low).mean())
        return tuple(each * span * wider for each in _OF_SPAN)
    if attacked.embedded and not linf:
        return tuple(each * sqrt(attacked.x.shape[1]) / 2 for each in _OF_UNIT)  # a part of every token's norm
    return tuple(each * wider for each in _OF_UNIT)
