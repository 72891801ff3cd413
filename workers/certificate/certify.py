"""Which checks make a certificate, with how much effort?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from workers.certificate.checks import Certificate, Check
from workers.certificate.concentration import concentration
from workers.certificate.deletion import deletion
from workers.certificate.features import Groups, padding
from workers.certificate.identity import same_model
from workers.certificate.infidelity import infidelity
from workers.certificate.randomisation import Stage, randomise
from workers.certificate.rows import ends
from workers.certificate.sensitivity import max_sensitivity
from workers.certificate.spread import other_baselines, over_baselines
from workers.certificate.sums import completeness
from workers.sweep.completeness import Endpoints
from workers.sweep.method import Explain
from workers.sweep.ready import Prepared

_OTHER_BASELINES = 3
_LOOKED = 3
"""Points of the path from another baseline that say whether it begins with a jump."""

OnCheck = Callable[[float, str], None]
"""Told the fraction done and what comes next; an exception from it ends the certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Counts, which change the numbers; and `rows`, how many rows run at once, which changes rounding alone."""

    stages: int = 6
    shufflings: int = 3
    neighbours: int = 10
    perturbations: int = 50
    steps: int = 10
    orders: int = 20
    rows: int = 64

    def explained(self, *, inputs: bool, baseline: bool) -> int:
        """How many times all examples are explained. inputs: inputs have attributions; baseline: others are tried."""
        shuffled = self.stages + self.shufflings - 1
        return 1 + shuffled + (self.neighbours if inputs else 0) + (_OTHER_BASELINES if baseline else 0)

    def evaluated(self, *, inputs: bool, baseline: bool) -> int:
        """How many forward passes each example has beside those of the explanations, at most. As `explained`."""
        shuffled = self.stages + self.shufflings - 1
        curves = (2 + self.orders) * (self.steps - 1)
        of_inputs = 2 + curves + 2 + self.perturbations + self.neighbours if inputs else 0
        return 2 + shuffled + of_inputs + (_LOOKED * _OTHER_BASELINES if baseline else 0)


@dataclass(frozen=True, slots=True)
class Certified:
    """The certificate, and the way from the network to its full randomisation."""

    certificate: Certificate
    stages: tuple[Stage, ...]


def certify(
    ready: Prepared,
    explain: Explain,
    presented: Mapping[str, Tensor],
    *,
    seed: int,
    claimed: Collection[str] = (),
    tolerance: float = 0.05,
    multiplied: bool = True,
    baseline: bool = True,
    seeded: bool = False,
    at_inputs: Explain | None = None,
    groups: Groups | None = None,
    embedded: Collection[str] = (),
    effort: Effort | None = None,
    on_check: OnCheck | None = None,
) -> Certified:
    """Every check of the attributions `presented` for the examples of `ready`, which `explain` claims to have made.

    claimed: the taps at which the method is complete, to within `tolerance`. multiplied: it holds the factor x - x'.
    baseline: it depends on the baseline, so that other baselines are tried. seeded: it draws random numbers by the
    place of an example, so that neighbours are explained in the examples' own places. at_inputs: `explain` of the
    inputs' taps alone, which is all that neighbours need. groups: of units that are one feature. embedded: the
    inputs' taps that are what an embedding gives, in which padding stays where it is.
    """
    effort = effort or Effort()
    told = on_check or (lambda _fraction, _what: None)
    told(0.0, "recomputing")
    checks: list[Check] = same_model(presented, explain, ready)
    at_x, at_origin = ends(ready, effort.rows)
    signed = {key: each.flatten(1).double().sum(1) for key, each in presented.items()}
    checks += completeness(signed, Endpoints(at_x, at_origin), tolerance=tolerance, claimed=claimed)
    checks += concentration(presented)
    told(0.1, "randomising parameters")
    randomised = randomise(ready, explain, presented, stages=effort.stages, draws=effort.shufflings, seed=seed)
    checks += randomised.checks
    told(0.5, "deletion and insertion")
    checks += deletion(
        ready, presented, steps=effort.steps, orders=effort.orders, seed=seed, rows=effort.rows, groups=groups
    )
    checks += infidelity(
        ready, presented, draws=effort.perturbations, seed=seed, rows=effort.rows, multiplied=multiplied, groups=groups
    )
    told(0.7, "neighbours")
    together = len(ready) if seeded else effort.rows
    near = at_inputs or explain
    still = padding(ready, embedded)
    checks.append(
        max_sensitivity(
            ready, near, presented, neighbours=effort.neighbours, seed=seed, rows=together, still=still
        )
    )  # fmt: skip
    if baseline:
        told(0.9, "other baselines")
        checks += over_baselines(explain, presented, other_baselines(ready, seed, still))
    told(1.0, "certificate")
    return Certified(Certificate.of(checks), randomised.stages)
