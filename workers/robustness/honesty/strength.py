"""Would a stronger, a longer or a blind attack have found more than the one whose figures are reported?

The flags of AutoAttack, Croce and Hein 2020, arXiv:2003.01690, and the list of Carlini et al. 2019, arXiv:1902.06705,
section 4. Every comparison is made where the attack said something: an example "is held" at the largest budget that did
not break it, and "broken" at the smallest that did.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import torch
from torch import Tensor

from workers.attack.found import Found
from workers.attack.space import per_row
from workers.numerics.intervals import wilson
from workers.robustness.honesty.examined import Examined
from workers.robustness.honesty.gradients import direct, slopes
from workers.robustness.honesty.verdict import NotRun, Seen

UNLIMITED, AGAIN, BLACK, NOISY, LEAST = 20, 50, 50, 50, 10
"""Most examples that are attacked without a limit, with a doubled budget, by outputs alone, by noise; the fewest."""

SHORT_STEPS, SHORT_QUERIES, QUERIES = 20, 200, 1000
"""Of the attack without a limit, which is easy where gradients are any good; most of the search by outputs alone."""

ABOUT_ZERO, DONORS = 0.05, 50
"""Robust accuracy without a limit; most examples whose numbers another takes, to show that it can be broken."""

POINT = 0.01
"""What a doubled budget may gain of robust accuracy."""

DRAWS, DIMENSIONS = 30, 16
"""Random inputs for each example; numbers that may change below which so many draws come near every direction."""

SLACK, TIE = 1e-5, 1e-5
"""Rounding: of a budget, and of the largest output."""


def unlimited(examined: Examined, found: Found) -> Seen:
    """Whether robust accuracy falls to about zero where the budget is no limit."""
    held = found.robust()[:, -1].nonzero().flatten()
    if not len(held):
        return Seen(
            "pass", f"every example is broken at {found.epsilons[-1]:g} already",
            "there is nothing left for a larger budget", 0.0, n=len(examined),
        )  # fmt: skip
    rows = examined.few(held, UNLIMITED)
    widest = float(examined.space.widest(examined.x).max())
    settings = replace(
        examined.settings, epsilons=(widest,), steps=min(SHORT_STEPS, examined.settings.steps),
        queries=min(SHORT_QUERIES, examined.settings.queries),
    )  # fmt: skip
    left = rows[examined.some(rows).attacked(settings, "unlimited").robust()[:, 0]]
    share = wilson(len(left), len(rows))
    observed = f"{len(left)} of {len(rows)} examples that held stay unbroken at {widest:.3g}, which is no limit"
    if share.value * len(held) <= ABOUT_ZERO * len(examined):
        return Seen.share("pass", observed, "the attack finds what is there to be found", share)
    known = sum(_broken_by_another(examined, at) for at in left.tolist())
    observed += f"; with the numbers of another example {known} of these break"
    if known == 0:
        return Seen.share(
            "warn", observed, "no other example breaks them either: what may change does not suffice, or the attack is"
            " blind and smaller budgets prove nothing", share,
        )  # fmt: skip
    return Seen.share(
        "fail", observed, "what breaks them is within the budget and not found: the attack is blind, and smaller"
        " budgets prove nothing", share,
    )  # fmt: skip


def _broken_by_another(examined: Examined, at: int) -> bool:
    """Whether an example breaks that takes the numbers of another, where they may change."""
    rows = torch.full((min(len(examined), DONORS),), at)
    made = examined.x[examined.few(examined.index, DONORS)]
    free = examined.space.take(rows).free
    made = made if free is None else torch.where(free, made, examined.x[rows])
    return bool(examined.broken(made, rows).any())


def curve(examined: Examined, found: Found) -> Seen:
    """Whether the curve falls, and each of its points stands on an adversarial within its budget that breaks now."""
    robust = found.robust().sum(0)
    rises = int((robust.diff() > 0).sum())
    rows = (found.clean & (found.at < len(found.epsilons))).nonzero().flatten()
    if not len(rows):
        return Seen("pass", "no point of the curve is below another", "nothing is broken at any budget", 0.0, n=0)
    outputs = examined.victim.outputs(found.made[rows], rows)
    margin = examined.goal.margin(outputs, rows).cpu()
    broken = examined.goal.broken(outputs, rows).cpu()
    ties = ~broken & (margin <= TIE * float(outputs.abs().max()))
    budgets = torch.tensor(found.epsilons, dtype=torch.float64)[found.at[rows]]
    ulp = torch.finfo(examined.x.dtype).eps * float((examined.x.abs() / examined.space.unit).max())
    far = examined.space.take(rows).distance(examined.x[rows], found.made[rows]).cpu() > budgets * (1 + SLACK) + ulp
    standing, tied = int((broken & ~far).sum()), int((ties & ~far).sum())
    observed = (
        f"{standing} of {len(rows)} adversarials break again within the budget of their point, {tied} are ties; the"
        f" curve rises {rises} times"
    )
    if rises == 0 and standing == len(rows):
        return Seen("pass", observed, "an adversarial of a budget is one of every larger budget", 1.0, n=len(rows))
    if rises == 0 and standing + tied == len(rows):
        return Seen(
            "warn", observed, "ties fall either way by rounding: those examples stand on the edge",
            standing / len(rows), n=len(rows),
        )  # fmt: skip
    return Seen(
        "fail", observed, "points of the curve stand on adversarials that are none: the network answers differently"
        " when asked again, or the attack miscounts", standing / len(rows), n=len(rows),
    )  # fmt: skip


def doubled(examined: Examined, found: Found) -> Seen:
    """What twice the budget of the attack gains, of robust accuracy in the budget that breaks about half."""
    place = telling(found)
    epsilon = found.epsilons[place]
    held = found.robust()[:, place].nonzero().flatten()
    if not len(held):
        return Seen("pass", "no example is left to break", "more cannot gain anything", 0.0, n=0)
    rows = examined.few(held, sizes(len(examined))[0])
    settings = replace(examined.settings, epsilons=(epsilon,), doubled=True)
    more = int((~examined.some(rows).attacked(settings, "doubled").robust()).sum())
    among, part = wilson(more, len(rows)), len(held) / len(examined)
    gain, low, high = (float(each or 0.0) * part for each in (among.value, among.low, among.high))
    observed = f"of {len(rows)} examples that held at {epsilon:g}, {more} break: {100 * gain:.1f} points of accuracy"
    if gain <= POINT:
        return Seen("pass", observed, "the attack has converged", gain, low, high, len(rows))
    return Seen(
        "fail" if low > POINT and more > 1 else "warn", observed,
        "a longer attack finds more: the robust accuracy is too high by about that; ask for more steps and queries",
        gain, low, high, len(rows),
    )  # fmt: skip


def black_box(examined: Examined, found: Found) -> Seen:
    """Whether a search that sees outputs alone breaks what gradients do not: the sign of masked gradients."""
    by_gradient = torch.tensor([*(stage.asked.gradients > 0 for stage in found.stages), False])[found.by]
    if not any(stage.asked.gradients for stage in found.stages):
        raise NotRun("no stage of the attack took gradients; it takes a network that gives them")
    clean = found.clean.nonzero().flatten()
    if not len(clean):
        raise NotRun("the goal is reached at every example without an attack; it takes one where it is not")
    rows = examined.few(clean, sizes(len(examined))[1])
    some = examined.some(rows)
    settings = replace(some.settings, queries=min(some.settings.queries or QUERIES, QUERIES))
    blind = replace(some, victim=replace(some.victim, black_box=True)).attacked(settings, "black box").at
    white = torch.where(by_gradient[rows] | (found.at[rows] == len(found.epsilons)), found.at[rows], found.at[rows] + 1)
    only, missed = int((blind < white).sum()), int((blind > white).sum())
    observed = (
        f"of {len(rows)} examples {only} break at a smaller budget by outputs alone than by gradients, {missed} at a"
        " larger one or not at all"
    )
    value = (only - missed) / len(rows)
    if only == 0:
        return Seen("pass", observed, "gradients find all that a blind search finds", value, n=len(rows))
    odds = wilson(only, only + missed)
    low, high = ((2 * float(bound or 0.0) - 1) * (only + missed) / len(rows) for bound in (odds.low, odds.high))
    if only <= missed:
        return Seen("pass", observed, "gradients find more than a blind search", value, low, high, len(rows))
    return Seen(
        "fail" if low > 0 else "warn", observed, "gradient masking suspected: who sees the network's inside should find"
        " no less than who does not; the robust accuracy is probably too high", value, low, high, len(rows),
    )  # fmt: skip


def noise(examined: Examined, found: Found) -> Seen:
    """Whether random inputs at the same distance break far fewer, and none that the attack did not."""
    rows = torch.tensor([at for at in examined.few(found.clean.nonzero().flatten(), NOISY).tolist()
                         if examined.movable(at) >= DIMENSIONS], dtype=torch.int64)  # fmt: skip
    if not len(rows):
        raise NotRun(
            f"no unbroken example has {DIMENSIONS} numbers that may change, and in few dimensions noise comes near"
            " everything; it takes larger inputs"
        )
    missed = _by_noise(examined, found, _held(found, rows), -1)
    examined.told(0.5, "random inputs")
    broken = rows[found.at[rows] < len(found.epsilons)]
    also = _by_noise(examined, found, broken, 0)
    observed = (
        f"{DRAWS} random inputs each: {missed} of {len(_held(found, rows))} examples that held are broken,"
        f" {also} of {len(broken)} that the attack broke"
    )
    if missed:
        share = wilson(missed, len(_held(found, rows)))
        return Seen.share(
            "fail",
            observed,
            "noise breaks what the attack left unbroken: the attack is weaker than chance there",
            share,
        )
    if not len(broken):
        raise NotRun("the attack broke no example, so there is nothing to be stronger than; it takes a larger budget")
    share = wilson(also, len(broken))
    if share.value <= 0.5:
        return Seen.share("pass", observed, "the attack finds what chance does not", share)
    return Seen.share(
        "warn", observed, "noise alone breaks most: the budgets are so large that no attack is needed, or the attack is"
        " hardly better than chance; ask for smaller budgets", share,
    )  # fmt: skip


def one_step(examined: Examined, found: Found) -> Seen:
    """Whether one step along the gradient breaks anything that the attack left unbroken."""
    rows = _held(found, found.clean.nonzero().flatten())
    if not len(rows):
        raise NotRun("every example is broken at the smallest budget; it takes a budget at which one holds")
    x, space = examined.x[rows], examined.space.take(rows)
    budgets = torch.tensor(found.epsilons, dtype=torch.float64)[(found.at[rows] - 1)].to(x.device)
    broken = torch.zeros(len(rows), dtype=torch.bool)
    for name in dict.fromkeys((examined.goal.losses[0], direct(examined))):
        step = space.steepest(slopes(examined, examined.victim, x, rows, name).nan_to_num(0.0, 0.0, 0.0))
        moved = x + step * per_row(budgets, x)
        broken |= examined.broken(space.project(x, moved, budgets), rows)
    share = wilson(int(broken.sum()), len(rows))
    observed = f"one step breaks {int(broken.sum())} of {len(rows)} examples that the attack left unbroken"
    if not bool(broken.any()):
        return Seen.share("pass", observed, "many steps find no less than one", share)
    return Seen.share(
        "fail", observed, "the attack is weaker than its own first step: its steps do not converge, or the network"
        " answers differently when asked again", share,
    )  # fmt: skip


def sizes(examples: int) -> tuple[int, int]:
    """Of so many at most how many are attacked with a doubled budget, and how many by outputs alone."""
    again, black = max(LEAST, ceil(examples / 10)), max(LEAST, ceil(examples / 8))
    return min(examples, AGAIN, again), min(examples, BLACK, black)


def telling(found: Found) -> int:
    """The place of the budget at which the most is open: nearest to a half of the clean examples holds, and some do."""
    robust, clean = found.robust().sum(0), max(1, int(found.clean.sum()))
    left = [place for place in range(len(found.epsilons)) if int(robust[place]) > 0]
    return min(left or [0], key=lambda place: (abs(int(robust[place]) / clean - 0.5), place))


def _held(found: Found, rows: Tensor) -> Tensor:
    """Of these those that hold at some budget."""
    return rows[found.at[rows] > 0]


def _by_noise(examined: Examined, found: Found, rows: Tensor, shift: int) -> int:
    """How many of these are broken by one of `DRAWS` random inputs within the budget `shift` places from theirs."""
    count = 0
    for at in rows.tolist():
        epsilon = found.epsilons[int(found.at[at]) + shift]
        count += examined.lucky(at, epsilon, DRAWS, "noise")
    return count
