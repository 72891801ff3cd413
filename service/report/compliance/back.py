"""What do the further sections hold? What was measured, excepted and stated, and where all of it stands."""

from typing import Literal

from pydantic import Field, JsonValue

from service.contracts.base import Digest, Name, Text, Value
from service.contracts.outcome import Severity
from service.contracts.section import Cell, Number, Table
from service.report.compliance.front import Found, Many, Maybe, When
from service.report.twin import Facts, Moment, Notes, Short


class Method(Value):
    """One method of explanation, as it was set."""

    analysis: Short
    title: Name
    settings: Facts


class QualityRow(Value):
    """One number on how far an explanation can be relied on."""

    aspect: Literal["completeness", "faithfulness", "stability", "agreement"]
    method: Name
    metric: Name
    where: Text
    number: Number
    n: Number
    baseline: Maybe
    direction: Short
    analysis: Short


class Chosen(Value):
    """One example that the rule chose."""

    method: Name
    analysis: Short
    example: Number
    said: Text


class Explanations(Value):
    """What explains the model's answers, and how far that can be relied on."""

    said: Text
    methods: Many[Method]
    quality: Many[QualityRow]
    rule: Text = Field(description="How the examples were chosen: by a rule, not by hand.")
    examples: Many[Chosen]
    disagreement: Many[QualityRow]


class Threat(Value):
    """What an attack was allowed to do, in a sentence."""

    analysis: Short
    title: Name
    said: Text


class CurvePoint(Value):
    """Accuracy at one budget."""

    epsilon: Number
    accuracy: Number
    n: Number


class Curve(Value):
    """Robust accuracy against the budget, for one norm and one attack."""

    title: Name
    label: Short = Field(description="What tells this curve from others of its analysis.")
    analysis: Short
    unit: Short
    points: Many[CurvePoint]


class RobustRow(Value):
    """One number on how the model bears changed inputs."""

    metric: Name
    where: Text
    number: Number
    n: Number
    baseline: Maybe
    direction: Short
    analysis: Short


class Flag(Value):
    """A finding of an analysis of robustness: reasons to doubt its numbers, or the model."""

    analysis: Short
    title: Name
    severity: Severity
    code: Short
    meaning: Text
    evidence: Text


class Robustness(Value):
    """How little it takes to break the model."""

    said: Text
    threats: Many[Threat]
    curves: Many[Curve]
    corruptions: Many[RobustRow]
    others: Many[RobustRow]
    flags: Many[Flag]


class LayerTable(Value):
    """What one analysis measured of every layer."""

    analysis: Short
    table: Table


class LayerDiagnostics(Value):
    """What was measured layer by layer, and what was not."""

    said: Text
    tables: Many[LayerTable]
    not_measured: Notes


class WaiverRow(Value):
    """A waiver or a marking as not applicable, whatever became of it."""

    id: Short
    control: Short
    title: Name
    status: Found | None
    effect: Short
    state: Short
    covers: Text
    reason: Text
    compensating: Text
    requested: Text
    decided: Text
    starts_at: Moment
    expires_at: Moment
    renewals: Number


class Exceptions(Value):
    """What was excepted, by whom, until when. An exception never changes a status."""

    said: Text
    waivers: Many[WaiverRow]


class AttestationRow(Value):
    """What a named person stated."""

    id: Short
    control: Short
    title: Name
    who: Short
    role: Short
    statement: Text
    stated_at: Moment
    due_at: Moment = Field(description="When it has to be stated again.")
    state: Short
    covers: Text
    document: Text
    document_digest: Digest | None


class Attestations(Value):
    """What people stated: attested, not measured."""

    said: Text
    rows: Many[AttestationRow]


class FrameworkControl(Value):
    """A control that speaks to an item."""

    control: Short
    status: Found


class FrameworkRow(Value):
    """One item of a framework: its controls, or that none covers it."""

    item: Short
    theme: Name
    controls: Many[FrameworkControl]
    shown: Text
    status: Found | None = Field(description="The worst of its controls'; null: not covered by this service.")


class FrameworkView(Value):
    """The same results, in the order of a framework."""

    id: Short
    name: Name
    legal_status: Text
    as_of: Short
    covered: Number
    not_covered: Number
    rows: Many[FrameworkRow]


class Frameworks(Value):
    """Views of the results by framework. A mapping of themes, not a finding of conformity."""

    said: Text
    views: Many[FrameworkView]


class Limitations(Value):
    """What a reader must not take from this report, from the reasons met while making it."""

    notes: Notes


class SignStep(Value):
    """What somebody must do before this report counts as approved."""

    step: Short
    who: Short
    rule: Text


class SignOff(Value):
    """Who must sign. Signatures refer to the digest of this twin and are kept beside it."""

    said: Text
    steps: Many[SignStep]
    excluded: Notes = Field(description="People who ran the audits and may therefore not approve.")


class LogHead(Value):
    """The signed head of the log that the evidence was read under."""

    size: Number
    root: Digest
    chain_hash: Digest
    key_id: Short
    signature: Text
    signed_at: Moment
    unsealed: Number


class EvidenceRow(Value):
    """One analysis, and what it takes to run it again."""

    analysis: Short
    audit: Short
    kind: Short
    title: Name
    state: Short
    config_digest: Digest
    seed: Cell
    environment_digest: Cell
    code_version: Cell
    started_at: When
    ended_at: When
    result_digest: Cell
    event_number: Maybe
    leaf_hash: Cell
    replay: Short
    said: Text
    parameters: dict[str, JsonValue]


class EvidenceAnnex(Value):
    """Where every number comes from."""

    said: Text
    head: LogHead | None
    analyses: Many[EvidenceRow]
