"""What may be measured? Every metric kept in history, with its unit, direction and denominator."""

from dataclasses import dataclass
from typing import Literal

VERSION = 1
Direction = Literal["lower is better", "higher is better", "closer to zero is better", "no direction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One entry of the vocabulary. A name is never reused with another meaning."""

    name: str
    title: str
    unit: str
    direction: Direction
    denominator: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            name="layer_total",
            title="signed attribution of a layer",
            unit="target output",
            direction="no direction",
            denominator="mean over examples of the sum over a layer's units",
        ),
        Metric(
            name="layer_absolute_total",
            title="absolute attribution of a layer",
            unit="target output",
            direction="no direction",
            denominator="mean over examples of the sum of absolute values over a layer's units",
        ),
        Metric(
            name="completeness_error",
            title="completeness error at a cut layer",
            unit="share of the output's change",
            direction="lower is better",
            denominator="mean over examples of |F(x) - F(x')|, under that of |sum of attributions - (F(x) - F(x'))|",
        ),
        Metric(
            name="captum_difference",
            title="largest difference from captum over what was recomputed",
            unit="share of the largest absolute attribution",
            direction="lower is better",
            denominator="largest over the seeded layers or inputs that captum can do",
        ),
        Metric(
            name="input_total",
            title="signed attribution of an input",
            unit="target output",
            direction="no direction",
            denominator="mean over examples of the sum over an input's units",
        ),
        Metric(
            name="input_absolute_total",
            title="absolute attribution of an input",
            unit="target output",
            direction="no direction",
            denominator="mean over examples of the sum of absolute values over an input's units",
        ),
        Metric(
            name="change_share",
            title="share of the output's change that goes through a layer",
            unit="share of the output's change",
            direction="no direction",
            denominator="sum over examples of |F(x) - F(x')|",
        ),
        Metric(
            name="attribution_agreement",
            title="agreement of units: net over gross attribution",
            unit="share of the absolute attribution",
            direction="no direction",
            denominator="sum over examples of the sum of absolute values over units",
        ),
        Metric(
            name="effective_units",
            title="effective number of units",
            unit="units",
            direction="no direction",
            denominator="mean over examples of the exponential of the entropy of the units' shares",
        ),
        Metric(
            name="failed_checks",
            title="necessary checks that failed",
            unit="checks",
            direction="lower is better",
            denominator="all necessary checks of the certificate",
        ),
        Metric(
            name="parameter_randomisation",
            title="ranking kept by a network of shuffled parameters",
            unit="rank correlation",
            direction="lower is better",
            denominator="mean over the certificate's examples",
        ),
        Metric(
            name="deletion_gain",
            title="area won over random order when the first ranked is taken away first",
            unit="share of the output's change",
            direction="higher is better",
            denominator="mean over the certificate's examples of |F(x) - F(x')|",
        ),
        Metric(
            name="insertion_gain",
            title="area won over random order when the first ranked is put in first",
            unit="share of the output's change",
            direction="higher is better",
            denominator="mean over the certificate's examples of |F(x) - F(x')|",
        ),
        Metric(
            name="infidelity_share",
            title="infidelity beside that of zeros",
            unit="share of the infidelity of zeros",
            direction="lower is better",
            denominator="mean over the certificate's examples",
        ),
        Metric(
            name="max_sensitivity",
            title="how far an attribution moves when the input hardly does",
            unit="share of the attribution's norm",
            direction="lower is better",
            denominator="mean over the certificate's examples of the largest over neighbours",
        ),
        Metric(
            name="baseline_spread",
            title="spread of the absolute total over baselines",
            unit="coefficient of variation",
            direction="lower is better",
            denominator="mean over the certificate's examples",
        ),
        Metric(
            name="method_agreement",
            title="ranking shared with another method",
            unit="rank correlation",
            direction="higher is better",
            denominator="mean over the certificate's examples",
        ),
        Metric(
            name="baseline_ranks",
            title="ranking kept from baseline to baseline",
            unit="rank correlation",
            direction="higher is better",
            denominator="mean over the certificate's examples and pairs of baselines",
        ),
        Metric(
            name="seed_spread",
            title="spread of the absolute total over seeds",
            unit="coefficient of variation",
            direction="lower is better",
            denominator="mean over the certificate's examples",
        ),
        Metric(
            name="seed_ranks",
            title="ranking kept from seed to seed",
            unit="rank correlation",
            direction="higher is better",
            denominator="mean over the certificate's examples",
        ),
        Metric(
            name="attention_entropy",
            title="entropy of a layer's attention",
            unit="nat",
            direction="no direction",
            denominator="mean over examples, heads and the queries that lead to the target",
        ),
        Metric(
            name="attention_distance",
            title="distance over which a layer attends",
            unit="tokens",
            direction="no direction",
            denominator="mean over examples, heads and the queries that lead to the target; patches on a picture",
        ),
        Metric(
            name="rollout_entropy",
            title="entropy of the tokens in what is read",
            unit="nat",
            direction="no direction",
            denominator="mean over examples of the entropy of the tokens' shares after a layer",
        ),
        Metric(
            name="lens_probability",
            title="probability of the finally predicted token, read after a block",
            unit="probability",
            direction="no direction",
            denominator="mean over examples",
        ),
        Metric(
            name="lens_divergence",
            title="divergence of what is read after a block from the final distribution",
            unit="nat",
            direction="no direction",
            denominator="mean over examples of KL(final, read after the block)",
        ),
        Metric(
            name="lens_agreement",
            title="examples whose final token is already first after a block",
            unit="share of examples",
            direction="no direction",
            denominator="examples analysed",
        ),
        Metric(
            name="lens_decided",
            title="depth from which on the final token stays first",
            unit="share of the depth",
            direction="no direction",
            denominator="mean over examples of the block's place over the number of blocks",
        ),
        Metric(
            name="lime_r2",
            title="fit of the surrogate on the samples it was made from",
            unit="share of the variance",
            direction="higher is better",
            denominator="mean over examples of the weighted variance of the target over an example's samples",
        ),
        Metric(
            name="lime_held_out",
            title="fit of the surrogate on samples it was not made from",
            unit="share of the variance",
            direction="higher is better",
            denominator="mean over examples of the weighted variance of the target over an example's samples",
        ),
        Metric(
            name="lime_vsi",
            title="stability of the features chosen from run to run (VSI)",
            unit="share",
            direction="higher is better",
            denominator="mean over examples",
        ),
        Metric(
            name="lime_csi",
            title="stability of the coefficients from run to run (CSI)",
            unit="share",
            direction="higher is better",
            denominator="mean over examples",
        ),
        Metric(
            name="lime_overlap",
            title="features chosen that two runs have in common",
            unit="share of the features chosen",
            direction="higher is better",
            denominator="mean over examples",
        ),
        Metric(
            name="lime_legible",
            title="surrogates whose coefficients may be read",
            unit="share of surrogates",
            direction="higher is better",
            denominator="examples explained",
        ),
        Metric(
            name="lime_lost",
            title="samples at which the network gave no number",
            unit="share of samples",
            direction="lower is better",
            denominator="all samples of all examples explained",
        ),
        Metric(
            name="lime_coefficient",
            title="magnitude of a feature's coefficient",
            unit="target output",
            direction="no direction",
            denominator="mean over the examples in which the feature occurs",
        ),
        Metric(
            name="lime_coverage",
            title="what the picked examples show of all features' weight",
            unit="share of the weight of all features",
            direction="no direction",
            denominator="sum over features of the square root of their weight over examples",
        ),
        Metric(
            name="lime_difference",
            title="largest difference from the package lime over what it fitted",
            unit="share of the largest coefficient",
            direction="lower is better",
            denominator="largest over the seeded examples and their targets",
        ),
        Metric(
            name="lime_agreement",
            title="ranking that a surrogate shares with an attribution",
            unit="rank correlation",
            direction="higher is better",
            denominator="mean over examples",
        ),
        Metric(
            name="lime_layer_held_out",
            title="fit of a layer's surrogate on samples it was not made from",
            unit="share of the variance",
            direction="higher is better",
            denominator="mean over examples of the weighted variance of the reading over an example's samples",
        ),
        Metric(
            name="lime_layer_legible",
            title="surrogates of a layer whose coefficients may be read",
            unit="share of surrogates",
            direction="higher is better",
            denominator="examples in which the layer is read",
        ),
        Metric(
            name="lime_layer_shared",
            title="strongest features that a layer shares with the output",
            unit="share of the features compared",
            direction="no direction",
            denominator="mean over examples in which both surrogates may be read",
        ),
        Metric(
            name="lime_visible",
            title="depth from which on a layer's features are the output's",
            unit="share of the depth",
            direction="no direction",
            denominator="mean over examples of the layer's place among those through which everything passes",
        ),
        Metric(
            name="clean_accuracy",
            title="accuracy on the examples analysed",
            unit="share of examples",
            direction="higher is better",
            denominator="labelled examples analysed",
        ),
    )
}
