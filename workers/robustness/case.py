"""What is one question about robustness, made ready: the network as a victim, a goal, and a budget?"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import nn

from workers.attack.settings import Settings
from workers.kind import AnalysisError
from workers.numerics.determinism import seed_for
from workers.passes.aims import Aim, aim_of
from workers.passes.asked import ROLE
from workers.passes.attacked import Attacked
from workers.robustness.budgets import default_epsilons
from workers.robustness.honesty.examined import Examined
from workers.robustness.honesty.gradients import detached
from workers.robustness.honesty.subject import examined_of
from workers.robustness.parameters import RobustnessParameters
from workers.subject.subject import Subject


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A subject, what is asked of it, and how hard it is attacked."""

    subject: Subject
    parameters: RobustnessParameters
    attacked: Attacked
    aim: Aim
    settings: Settings

    @classmethod
    def of(cls, subject: Subject, parameters: RobustnessParameters) -> Case:
        """Made once for each question. Raises AnalysisError, SweepRefused, NotFinite; each says what to change."""
        known = _READY.setdefault(subject.model, {})
        data = subject.examples[ROLE]
        key = (parameters, data.digest, id(data.inputs))
        if key not in known:
            known[key] = cls._made(subject, parameters)
        return known[key]

    @classmethod
    def _made(cls, subject: Subject, parameters: RobustnessParameters) -> Case:
        if subject.black_box:
            _refuse_gradients(parameters)
        attacked = Attacked.of(
            subject, norm=parameters.norm, examples=parameters.examples, precision=parameters.precision
        )
        aim = aim_of(attacked, parameters.wanted)
        settings = Settings(
            norm=parameters.norm, epsilons=parameters.epsilons or default_epsilons(attacked), steps=parameters.steps,
            queries=parameters.queries,
        )  # fmt: skip
        return cls(subject, parameters, attacked, aim, settings)

    def __len__(self) -> int:
        """How many examples."""
        return len(self.attacked)

    def seeds(self, digest: str) -> tuple[int, ...]:
        """One per example, from the analysis."""
        return tuple(seed_for(digest, index) for index in range(len(self)))

    def examined(self, rows: int, digest: str) -> tuple[Examined, str | None]:
        """The network under its attack, and why no gradient can be taken of it though it should, or None.

        Where none can be taken it is attacked as a black box. Inside `attacked.quiet()`.
        """
        made = examined_of(self.attacked, self.aim, self.settings, self.seeds(digest), rows)
        return made, None if made.victim.black_box else detached(made)


_READY: WeakKeyDictionary[nn.Module, dict[tuple[RobustnessParameters, str, int], Case]] = WeakKeyDictionary()


def _refuse_gradients(parameters: RobustnessParameters) -> None:
    """Raises AnalysisError where a black box is asked for what takes gradients."""
    named = [each for each in parameters.compare if each != "auto"]
    asked = [*named, *(["minimum"] if parameters.minimum == "yes" else [])]
    if asked:
        raise AnalysisError(
            "no-gradients",
            f"{' and '.join(asked)} need gradients, and a black box shows only its outputs",
            remedy='Leave them out (compare "auto", minimum "auto"): the search by outputs alone (queries) is run; or'
            " send a .pt2, of which gradients can be taken.",
        )
    if parameters.queries == 0:
        raise AnalysisError(
            "no-queries", "a black box is attacked by asking it, and queries is 0",
            remedy="Ask for some queries.",
        )  # fmt: skip
