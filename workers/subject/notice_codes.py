"""Which notices are there, when is each given, and what should its reader do?

docs/intake/inspection.md prints this list.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A notice: when it is given, and what its reader should do."""

    when: str
    advice: str


CODES: Mapping[str, Code] = {
    "stochastic": Code(
        when="Two passes of the same input give different outputs.",
        advice="Export the model in evaluation mode, or take the random part out; until then only values of layers"
        " before the randomness can be asked for.",
    ),
    "batch-dependent": Code(
        when="The output for one example changes with the other examples of the batch.",
        advice="Export the model in evaluation mode (batch norm with running statistics), with the batch as the first"
        " axis; until then only values of layers before the mixing can be asked for.",
    ),
    "no-gradients": Code(
        when="Gradients cannot be taken for another reason, which is named.",
        advice="Only values of layers can be asked for. The reason says what to change in the export.",
    ),
    "black-box": Code(
        when="Only the outputs can be seen: there are no layers and no gradients.",
        advice="Ask for methods that need outputs alone, or export the model as a .pt2 file to see its layers.",
    ),
    "non-finite-outputs": Code(
        when="Some random inputs within the declared bounds give NaN or infinity.",
        advice="Check the bounds and the preprocessing first; then look for a logarithm, a division or an overflow.",
    ),
    "constant-output": Code(
        when="Every random input gives the same output.",
        advice="Check the bounds and the preprocessing; a saturated or dead network explains nothing.",
    ),
    "dead-output": Code(
        when="Every output is zero for every random input.",
        advice="Check that the trained weights were exported, and the bounds and preprocessing.",
    ),
    "softmax-inside": Code(
        when="Logits are declared, and the network ends in a softmax, log-softmax or sigmoid.",
        advice="Export the network without its last layer, or declare what it gives; gradients of probabilities"
        " vanish where the network is sure.",
    ),
    "not-probabilities": Code(
        when="Probabilities are declared, and the outputs leave [0, 1] or do not sum to 1.",
        advice='Declare "logits", or export the network with its softmax.',
    ),
    "loss-and-output": Code(
        when="The declared loss does not fit the task or what the network gives.",
        advice="Declare the loss the network was trained with: attacks and influence measures use it.",
    ),
    "classes-unnamed": Code(
        when="The outputs are logits or probabilities of several classes, and none is named.",
        advice="Name the classes in facts.output.classes; reports then call them by their names.",
    ),
    "input-scale": Code(
        when="The declared bounds and preprocessing together give the network values far outside, or a sliver inside,"
        " a few standard deviations.",
        advice="Give bounds, mean and std in the same raw unit: for pixels 0 to 255 the mean is near 120, not near"
        " 0.5.",
    ),
    "static-batch": Code(
        when="The file takes one batch size only.",
        advice="Nothing need be done. Export with an open batch (Dim.DYNAMIC) to save time, unless a condition on the"
        " input asks for one example at a time.",
    ),
    "half-precision": Code(
        when="Some weights are float16 or bfloat16.",
        advice="Export the model from float32 if small differences matter: sums of contributions round visibly.",
    ),
    "tied-parameters": Code(
        when="The same parameter goes by two names.",
        advice="Nothing need be done. Changing one, as weight randomisation does, changes all of them.",
    ),
    "unused-parameters": Code(
        when="A tenth or more of the parameters are not reached from the output.",
        advice="Export only the part that computes this output, and check that it is the output you mean.",
    ),
    "flops-incomplete": Code(
        when="Some operators have no formula, or the pass could not be counted.",
        advice="Read the operation counts as lower bounds, or as unknown.",
    ),
}


def table() -> str:
    """Every code as docs/intake/inspection.md lists it, in Markdown."""
    rows = [f"| `{name}` | {code.when} | {code.advice} |" for name, code in CODES.items()]
    return "\n".join(["| code | when | what to do |", "| --- | --- | --- |", *rows])
