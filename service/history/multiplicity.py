"""Many questions asked at once: which answers still stand? Adjusted probabilities, to be held against one level.

Holm 1979, Scandinavian Journal of Statistics 6:65: the chance of one wrong answer or more stays below the level.
Benjamini and Hochberg 1995, JRSS B 57:289: the expected share of wrong ones among the answers does.
"""

from collections.abc import Sequence


def holm(p: Sequence[float]) -> list[float]:
    """Each probability, adjusted for the family of all; in the order given."""
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, least = [0.0] * len(p), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = least
    return adjusted


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Each probability, adjusted for the false discovery rate over all; in the order given."""
    order = sorted(range(len(p)), key=p.__getitem__, reverse=True)
    adjusted, most = [0.0] * len(p), 1.0
    for place_from_end, place in enumerate(order):
        most = min(most, p[place] * (len(p) / (len(p) - place_from_end)))
        adjusted[place] = most
    return adjusted
