"""Which run would show that the comparison is wrong? An analysis against itself: everything is kept, nothing moves."""

from __future__ import annotations

from dataclasses import replace

from service.contracts.outcome import ControlRun
from workers.comparison.compute import AFTER, BEFORE, merge
from workers.comparison.outcome import CompareParameters
from workers.kind import Context
from workers.subject.subject import Subject

ITSELF = ("a ranking against itself", "Is an analysis that is compared with itself found to be the same?")
_CLOSE = 1e-9


def against_itself(subject: Subject, parameters: CompareParameters, context: Context) -> ControlRun:
    """The earlier one in both roles."""
    one = subject.earlier[BEFORE]
    found = merge(replace(subject, earlier={BEFORE: one, AFTER: one}), parameters, (), context).outcome
    kept = [each.ndcg for each in found.layers] + ([] if found.ndcg is None else [found.ndcg.value])
    moved = [each.index for each in found.shifts] + ([] if found.difference is None else [found.difference.value])
    worst = max((abs(1 - each) for each in kept), default=0.0)
    most = max((abs(each) for each in moved), default=0.0)
    return ControlRun(
        name=ITSELF[0],
        question=ITSELF[1],
        expected="every nDCG 1, every difference and shift 0",
        observed=f"nDCG at most {worst:.1g} from 1, differences and shifts at most {most:.1g}",
        passed=worst < _CLOSE and most < _CLOSE,
    )
