"""What does each check measure, in which unit, after whom, and where does its threshold come from?"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from service.contracts.vocabulary import Direction

Fails = Literal["above", "below", "wholly below"]
"""A check fails where its value, or for "wholly below" its whole interval, lies there seen from the threshold."""

_SHARE_OF_CHANGE = "share of the output's mean change |F(x) - F(x')|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """threshold: None where none can be defended, or where the asker gives it; `why` says. range: of the bounds."""

    name: str
    title: str
    definition: str
    unit: str
    direction: Direction
    source: str
    why: str
    necessary: bool = False
    fails: Fails | None = None
    threshold: float | None = None
    range: tuple[float, float] = (-inf, inf)


DEFINITIONS = {
    each.name: each
    for each in (
        Definition(
            name="identity",
            title="it is this model's",
            definition="max |presented - recomputed| / max(|presented|, |recomputed|), each over the units of an"
            " example, recomputed from the model for the same examples; the largest over them",
            unit="share of the largest attribution",
            direction="lower is better",
            source="own",
            why="what rounding between chunkings moves: 1e-6 in float64, 1e-3 in float32; or what the asker says a"
            " method with random draws may move",
            necessary=True,
            fails="above",
            threshold=1e-3,
            range=(0, inf),
        ),
        Definition(
            name="identity_ranks",
            title="its ranking is this model's",
            definition="rank correlation (Spearman) of the magnitudes presented and recomputed, per example",
            unit="correlation",
            direction="higher is better",
            source="own",
            why="units whose attributions differ by rounding alone may change places",
            fails="below",
            threshold=0.99,
            range=(-1, 1),
        ),
        Definition(
            name="completeness",
            title="it adds up",
            definition="|Σ attributions - (F(x) - F(x'))|, mean over examples, / mean over examples of |F(x) - F(x')|:"
            " an example whose output hardly changes decides nothing; at layers through which every path passes",
            unit="share of the output's change",
            direction="lower is better",
            source="Sundararajan, Taly and Yan 2017, arXiv:1703.01365; Dhamdhere et al. 2018, arXiv:1805.12233",
            why="the tolerance that was asked for",
            necessary=True,
            fails="above",
            range=(0, inf),
        ),
        Definition(
            name="unit_conductance",
            title="its inputs add up to the units",
            definition="|Σ over inputs - the unit's conductance summed from its own values along the path|, mean over"
            " examples, / mean over examples of what flows through the unit there and back; the largest over units",
            unit="share of what flows through the unit",
            direction="lower is better",
            source="Dhamdhere et al. 2018, arXiv:1805.12233, equations 1 and 2",
            why="as for completeness",
            necessary=True,
            fails="above",
            range=(0, inf),
        ),
        Definition(
            name="parameter_randomisation",
            title="it depends on what was learnt",
            definition="rank correlation (Spearman) of magnitudes with those from the same network once every parameter"
            " tensor is shuffled, mean over three shufflings, per example; units that are zero in all of them are left"
            " out, and of more than 4096 units as many are drawn by seed",
            unit="correlation",
            direction="lower is better",
            source="Adebayo et al. 2018, arXiv:1810.03292; Hedström et al. 2024, arXiv:2401.06465",
            why="an attribution that ignores the parameters has 1; what products with the input share through |x - x'|"
            " is 0.5 for normal inputs. 0.8; more where chance reaches further, up to 0.95: the 95 % quantile for few"
            " units, 1.645 / √(3 (units - 1)), and the upper bound of parameter_randomisation_chance",
            necessary=True,
            fails="above",
            threshold=0.8,
            range=(-1, 1),
        ),
        Definition(
            name="parameter_randomisation_chance",
            title="how alike shuffled networks are",
            definition="as parameter_randomisation, between the shuffled networks: what the inputs and the architecture"
            " alone make alike",
            unit="correlation",
            direction="no direction",
            source="own",
            why="the level beside which parameter_randomisation is read",
            range=(-1, 1),
        ),
        Definition(
            name="deletion",
            title="what it ranks first matters, taken away",
            definition="area under the target's curve while features go to the baseline in random order (mean of"
            " 20) less that in the order of the attributions, highest first, per example",
            unit=_SHARE_OF_CHANGE,
            direction="higher is better",
            source="Samek et al. 2017, arXiv:1509.06321; Petsiuk, Das and Saenko 2018, arXiv:1806.07421",
            why="a ranking worse than chance is wrong; one no better than chance may be true of a network that hardly"
            " depends on the order",
            necessary=True,
            fails="wholly below",
            threshold=0.0,
        ),
        Definition(
            name="insertion",
            title="what it ranks first matters, put in",
            definition="area under the target's curve while features come back from the baseline in the order of the"
            " attributions, highest first, less that in random order (20 orders, mean), per example",
            unit=_SHARE_OF_CHANGE,
            direction="higher is better",
            source="Petsiuk, Das and Saenko 2018, arXiv:1806.07421",
            why="as for deletion",
            necessary=True,
            fails="wholly below",
            threshold=0.0,
        ),
        Definition(
            name="infidelity",
            title="infidelity",
            definition="E[(I·Φ - (F(x) - F(x - I)))²] over perturbations I that put each feature back to its baseline"
            " with probability 1/2 (where Φ holds the factor x - x'), or that add normal noise of a tenth of the root"
            " mean square of x - x' (where Φ is a slope), per example",
            unit="target output, squared",
            direction="lower is better",
            source="Yeh et al. 2019, arXiv:1901.09392, definition 2.1",
            why="it has the unit of the target, squared",
            range=(0, inf),
        ),
        Definition(
            name="infidelity_share",
            title="infidelity beside saying nothing",
            definition="infidelity, per example, / the mean over examples of E[(F(x) - F(x - I))²], which an"
            " attribution of zeros would have",
            unit="share of the infidelity of zeros",
            direction="lower is better",
            source="Yeh et al. 2019, arXiv:1901.09392; the denominator is ours",
            why="at 1 an attribution of zeros predicts the perturbations as well",
            fails="above",
            threshold=1.0,
            range=(0, inf),
        ),
        Definition(
            name="max_sensitivity",
            title="max-sensitivity",
            definition="largest ‖Φ(x + r) - Φ(x)‖ / ‖Φ(x)‖ (Euclidean) over ten neighbours, r uniform within 2 % of the"
            " inputs' root mean square distance from the baseline, per example; target and baseline stay",
            unit="share of the attribution's norm",
            direction="lower is better",
            source="Yeh et al. 2019, arXiv:1901.09392, definition 3.1",
            why="how steep a network is, is no fault of the attribution",
            range=(0, inf),
        ),
        Definition(
            name="sparseness",
            title="sparseness",
            definition="Gini index of the magnitudes, per example: 0 all alike, towards 1 a single unit",
            unit="share",
            direction="no direction",
            source="Chalasani et al. 2020, arXiv:1810.06583; Hurley and Rickard 2009, arXiv:0811.4706",
            why="a network may decide by many units or by few",
            range=(0, 1),
        ),
        Definition(
            name="effective_units",
            title="effective number of units",
            definition="exp(-Σ p ln p) with p the shares of the magnitudes, per example: that many units of equal"
            " magnitude are as concentrated",
            unit="units",
            direction="no direction",
            source="Hill 1973, Ecology 54:427; as complexity Bhatt, Weller and Moura 2020, arXiv:2005.00631",
            why="as for sparseness",
            range=(1, inf),
        ),
        Definition(
            name="spread_over_baselines",
            title="spread over baselines",
            definition="standard deviation / mean over baselines of the sum of magnitudes, per example",
            unit="coefficient of variation",
            direction="lower is better",
            source="Sturmfels, Lundberg and Lee 2020, doi:10.23915/distill.00022",
            why="another baseline asks another question",
            range=(0, inf),
        ),
        Definition(
            name="ranks_over_baselines",
            title="ranking over baselines",
            definition="rank correlation (Spearman) of magnitudes, mean over pairs of baselines, per example",
            unit="correlation",
            direction="higher is better",
            source="Sturmfels, Lundberg and Lee 2020, doi:10.23915/distill.00022",
            why="as for spread_over_baselines",
            range=(-1, 1),
        ),
        Definition(
            name="spread_over_seeds",
            title="spread over seeds",
            definition="standard deviation / mean over seeds of the sum of magnitudes, per example",
            unit="coefficient of variation",
            direction="lower is better",
            source="own",
            why="how many draws are enough depends on what is decided with them",
            range=(0, inf),
        ),
        Definition(
            name="ranks_over_seeds",
            title="ranking over seeds",
            definition="rank correlation (Spearman) of magnitudes, mean over pairs of seeds, per example",
            unit="correlation",
            direction="higher is better",
            source="own",
            why="as for spread_over_seeds",
            range=(-1, 1),
        ),
        Definition(
            name="standard_error",
            title="standard error of its draws",
            definition="mean over units of the standard error over other draws / mean over units of the magnitude, per"
            " example; 0 where everything that could be drawn was seen",
            unit="share of the mean magnitude",
            direction="lower is better",
            source="White 1980, Econometrica 48:817, of the fit of Lundberg and Lee 2017, arXiv:1705.07874",
            why="as for spread_over_seeds",
            range=(0, inf),
        ),
        Definition(
            name="agreement",
            title="agreement of two methods",
            definition="rank correlation (Spearman) of the magnitudes of two methods, per example",
            unit="correlation",
            direction="higher is better",
            source="Krishna et al. 2022, arXiv:2202.01602",
            why="methods answer different questions; disagreement is a finding and no fault of either",
            range=(-1, 1),
        ),
        Definition(
            name="agreement_at_the_top",
            title="agreement on the top units",
            definition="share of the k units of largest magnitude that two methods have in common, k a tenth of the"
            " units and at most 100, per example",
            unit="share of the k units",
            direction="higher is better",
            source="Krishna et al. 2022, arXiv:2202.01602, feature agreement",
            why="as for agreement",
            range=(0, 1),
        ),
    )
}
