"""How is what the engine found of an example written down: its strongest features, each with its interval?"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from workers.lime.outcome import Coefficient, Example, Explanation, OtherWidth
from workers.surrogate.errors import half_width
from workers.surrogate.explained import Explained, Local
from workers.surrogate.neighbourhood import Neighbourhood
from workers.surrogate.settings import Settings

_OTHERS, _MOST_ROWS, _LEAST = 10, 20_000, 3


def most_features(examples: int, targets: int, features: int) -> int:
    """How many features of a surrogate are listed: the chosen and ten others, as far as 20,000 rows in all hold them.

    The arrays hold all.
    """
    return max(_LEAST, min(features + _OTHERS, _MOST_ROWS // (examples * targets)))


def example(
    index: int,
    found: Explained,
    around: Neighbourhood,
    targets: Sequence[str],
    class_names: Sequence[str | None],
    because: str,
    most: int,
    settings: Settings,
    notes: Sequence[str],
) -> Example:
    """`most`: features listed of each target. because: why the network gave no number, where samples were lost."""
    return Example(
        index=index, features=len(around.names), samples=found.samples, distinct=found.distinct, lost=found.lost,
        lost_because=because[:4000] if found.lost else "", effective=found.effective,
        kernel_width=settings.kernel_width or around.kernel_width, neighbourhood=around.as_json(),
        notes=tuple(each[:4000] for each in notes),
        explanations=tuple(
            _explanation(local, around.names, target, name, most)
            for local, target, name in zip(found.labels, targets, class_names, strict=True)
        ),
    )  # fmt: skip


def known(value: float | None) -> float | None:
    """A number, or None where it is none."""
    return None if value is None or not isfinite(value) else float(value)


def written(name: str) -> str:
    """A feature's name on one line."""
    plain = "".join(one if one.isprintable() else " " for one in name)
    return " ".join(plain.split())[:600] or "(white space)"


def _explanation(local: Local, names: Sequence[str], target: str, name: str | None, most: int) -> Explanation:
    others = sorted(set(range(len(names))) - set(local.chosen), key=lambda k: (-abs(float(local.whole[k])), k))
    listed = (*local.chosen, *others[: max(0, most - len(local.chosen))])[: max(most, 1)]
    return Explanation(
        target=target, class_name=name,
        features=tuple(_coefficient(local, names, k) for k in listed),
        chosen=len(local.chosen), intercept=float(local.intercept), r2=known(local.r2), held_out=known(local.held_out),
        prediction=float(local.prediction), local=float(local.local), stable_features=known(local.stable_features),
        stable_values=known(local.stable_values), overlap=known(local.overlap), gap=known(local.gap),
        gap_error=known(local.gap_error), settled=local.settled,
        widths=tuple(
            OtherWidth(width=each.width, r2=known(each.r2), overlap=known(each.overlap)) for each in local.widths
        ),
        verdict=local.verdict, reason=local.reason[:4000],
    )  # fmt: skip


def _coefficient(local: Local, names: Sequence[str], k: int) -> Coefficient:
    chosen, value, error = k in local.chosen, float(local.coefficients[k]), known(float(local.errors[k]))
    wide = 0.0 if error is None else float(half_width(local.errors[k : k + 1], local.freedom[k : k + 1])[0])
    bounded = chosen and error is not None
    return Coefficient(
        feature=k, name=written(names[k]), chosen=chosen, value=value, error=error if chosen else None,
        low=value - wide if bounded else None,
        high=value + wide if bounded else None,
        whole=float(local.whole[k]), whole_error=known(float(local.whole_errors[k])),
    )  # fmt: skip
