"""What can be asked of a layer, by family of methods, and where not, why?

Reasons are short and shared by many layers: a manifest of twenty thousand layers repeats them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from torch import nn
from torch.export.unflatten import InterpreterModule, InterpreterModuleDispatcher

from service.contracts.manifest import Auditable, MethodFamily, Verdict
from workers.numerics.determinism import NotFinite
from workers.sweep.refusals import CoupledExamples, NotRepeatable

State = Literal["auditable", "forward_only", "not_reached", "not_applicable"]

NOT_FIRED = (
    "it never runs as a module of its own: it only holds other modules, or its parameters are used from outside or in a"
    " conditional branch"
)
NO_PLACES = "its output has no places (rows, columns, steps or tokens) besides its channels"
ONE_PLACE = "its output has one place only"
SEVERAL_CALLS = "it runs more than once, and rules by module type keep one value for each module"
NO_RULE = "no rule by module type exists for layers of this type"
EXPORTED = "layers run as parts of an exported graph, not as modules of torch.nn that such rules know"
RANDOM = "two passes of the same example differ here"
COUPLED = "its values for one example change with the others in the batch"
UNTOLD = "the examples cannot be told apart in its output"

_WITHOUT_RULE = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What running one layer showed.

    shapes: of the first output of each call, as text, N for the batch axis. auditable, reason: for the sweep.
    forward, gradient: the verdicts that its values and the way from them to the output gave.
    units: the shape of one example's share of its output, where examples can be told apart.
    """

    calls: int
    shapes: tuple[tuple[str, ...], ...]
    auditable: Auditable
    reason: str | None
    forward: Verdict
    gradient: Verdict
    units: tuple[int, ...] | None


@cache
def verdict(state: State, reason: str | None = None) -> Verdict:
    """The same value for every layer that it is said of."""
    return Verdict(state=state, reason=None if reason is None else reason[:1000])


def verdicts(seen: Seen | None, module: nn.Module, rules: str | None) -> Mapping[MethodFamily, Verdict]:
    """Every family's verdict. `rules`: why no method by module type can be asked of this network, if so."""
    if seen is None:
        never = verdict("not_reached", NOT_FIRED)
        return {"forward": never, "gradient": never, "cam": never, "rules": never}
    found = {"forward": seen.forward, "gradient": seen.gradient, "cam": seen.gradient, "rules": seen.gradient}
    if seen.gradient.state == "auditable":
        for family, why in (("cam", _no_map(seen.units)), ("rules", rules or _no_rule(module, seen.calls))):
            if why is not None:
                found[family] = verdict("not_applicable", why)
    return found  # type: ignore[return-value]  # the keys are the families


def _no_map(units: tuple[int, ...] | None) -> str | None:
    """A class activation map weighs channels and draws places: both must be there."""
    if units is None:
        return UNTOLD
    if len(units) < 2:
        return NO_PLACES
    places = units[1:] if len(units) > 2 else units
    return ONE_PLACE if all(size == 1 for size in places) else None


def _no_rule(module: nn.Module, calls: int) -> str | None:
    if isinstance(module, _WITHOUT_RULE):
        return NO_RULE
    return SEVERAL_CALLS if calls > 1 else None


def exported(module: nn.Module) -> bool:
    """Whether a module runs a piece of an exported graph, whatever it is called."""
    return isinstance(module, InterpreterModule | InterpreterModuleDispatcher)


def without_gradients(error: Exception) -> str:
    """Why no gradient is asked of a network that the probe would not have, as each of its layers says it."""
    if isinstance(error, NotRepeatable):
        return "two passes of the same input differ: a gradient would explain one random draw"
    if isinstance(error, CoupledExamples):
        return "the output for one example changes with the others in the batch"
    if isinstance(error, NotFinite):
        return "the output is NaN or infinite for the examples that were tried"
    return str(error)
