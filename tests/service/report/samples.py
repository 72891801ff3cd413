"""Reports to test with: one rich and ordinary, one whose every name is hostile."""

# ruff: noqa: E501  # the sentences of a sample report stay whole

import struct
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

from pydantic import JsonValue

from service.contracts.base import digest_of
from service.contracts.facts import Bounds, DatasetFacts, InputFacts, ModelFacts, OutputFacts, Preprocessing
from service.contracts.manifest import DatasetManifest, Layer, ModelManifest, TensorSpec
from service.contracts.outcome import ControlRun, Finding, NotApplicable
from service.contracts.problem import Fault, Reason
from service.contracts.provenance import Machine, Provenance
from service.contracts.section import (
    Bar,
    Bars,
    Blank,
    Block,
    Column,
    Heat,
    Lines,
    Measure,
    Number,
    Picture,
    Point,
    Prose,
    Section,
    Table,
    Word,
)
from service.contracts.status import AnalysisState, AuditState
from service.report.build import Answered, Artifact, Audited, Submitted, UsedInput, build
from service.report.twin import AuditReport

SUBMITTED = datetime(2026, 11, 22, 9, 14, 3, tzinfo=UTC)
HOSTILE = "<script>alert('1')</script>\"'&<b>&#49;"
KINDS = {
    "layer_conductance": "Conductance of every layer",
    "integrated_gradients": "Integrated gradients of the input",
    "lime_image": "LIME on images",
    "pgd_linf": "Robust accuracy under PGD",
}


@cache
def png(width: int = 320, height: int = 160) -> bytes:
    """A small picture: a blob on a light ground."""
    rows = b""
    for y in range(height):
        rows += b"\x00"
        for x in range(width):
            near = max(0.0, 1 - ((x - width / 2.6) ** 2 + (y - height / 2) ** 2) / 3600)
            rows += bytes((int(240 - 190 * near), int(240 - 130 * near), int(238 - 80 * near)))

    def chunk(tag: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


LAYERS = (
    *(("stem.conv", 4.31), ("stem.norm", 4.28), ("blocks.0.conv1", 3.12), ("blocks.0.conv2", 2.47)),
    *(("blocks.0.shortcut", 1.61), ("blocks.1.conv1", 0.83), ("blocks.1.conv2", -0.36), ("blocks.1.shortcut", 2.9)),
    *(
        ("blocks.2.conv1", -1.12),
        ("blocks.2.conv2", -0.68),
        ("blocks.2.residual_projection.with_a_long_name.conv", 1.94),
    ),
    *(("head.norm", 4.33), ("head.dropout", 4.33), ("head.linear", 4.36)),
)


def layer_table(note: str = "") -> Table:
    return Table(
        title="Conductance by layer",
        columns=(
            Column(title="Layer"),
            Column(title="Signed conductance", unit="logit", align="right"),
            Column(title="Absolute conductance", unit="logit", align="right"),
            Column(title="Units", align="right"),
            Column(title="Completeness error", unit="share", align="right"),
        ),
        rows=tuple(
            (
                Word(value=name),
                Number(value=value, low=value - 0.31, high=value + 0.27, n=256),
                Number(value=abs(value) * 1.7 + 0.4, low=abs(value) * 1.6, high=abs(value) * 1.9 + 0.5, n=256),
                Number(value=16_384 >> (index // 3), count=True),
                Number(value=0.0021 * (index + 1)) if "shortcut" not in name else Blank(because="not a cut layer"),
            )
            for index, (name, value) in enumerate(LAYERS)
        ),
        note=note,
    )


def blocks() -> tuple[Block, ...]:
    """One of every kind of block, as an analysis of a small residual network would fill them."""
    steps = (8, 16, 32, 64, 128)
    error_table = Table(
        title="Completeness error by steps",
        columns=(Column(title="Steps", align="right"), Column(title="Rule"), Column(title="Error", align="right")),
        rows=tuple(
            (
                Number(value=step, count=True),
                Word(value=rule),
                Number(
                    value=scale / step**power, low=scale * 0.8 / step**power, high=scale * 1.25 / step**power, n=256
                ),
            )
            for rule, scale, power in (("captum", 0.6, 1), ("trapezoid", 2.1, 2))
            for step in steps
        ),
    )
    classes = tuple("0123456789")
    heat = tuple(
        tuple(None if (row, column) == (2, 2) else round((4 - row) * (column - 4.4) / 3.1, 3) for column in range(10))
        for row in range(6)
    )
    heat_table = Table(
        title="Conductance by layer and class",
        columns=(Column(title="Layer"), *(Column(title=name, unit="logit", align="right") for name in classes)),
        rows=tuple(
            (
                Word(value=LAYERS[row][0]),
                *(
                    Blank(because="no example of this class") if value is None else Number(value=value)
                    for value in values
                ),
            )
            for row, values in enumerate(heat)
        ),
    )
    return (
        Measure(
            label="Completeness error, mean over cut layers",
            number=Number(value=0.0032, low=0.0029, high=0.0036, n=256, unit="share of the output's change"),
            direction="lower is better",
            note="Denominator: the change of the target logit from baseline to input.",
        ),
        Measure(
            label="Accuracy on the examples analysed",
            number=Number(value=0.9805, low=0.955, high=0.9917, n=256),
            direction="higher is better",
            note="Wilson interval, 95 %.",
        ),
        Measure(
            label="Largest difference from captum",
            number=Number(value=3.1e-12, unit="share", n=5),
            direction="lower is better",
        ),
        Bars(
            title="Signed conductance by layer, from input to output",
            value_title="Mean signed conductance",
            unit="logit",
            bars=tuple(Bar(label=name, value=value, low=value - 0.31, high=value + 0.27) for name, value in LAYERS),
            table=layer_table("Intervals: 95 %, bootstrap over examples, 2000 draws."),
            caption="Sum over a layer's units, mean over 256 examples of the change of the target logit that flows through the layer. Whiskers: 95 % bootstrap over examples. Layers on parallel branches do not add up.",
        ),
        Prose(
            text="Layers that cut the network carry the whole change of the output; layers on a branch carry a part of it. The two residual branches of the third block work against the prediction on average."
        ),
        Lines(
            title="Does the number of steps suffice?",
            x_title="Steps",
            y_title="Completeness error",
            x_log=True,
            y_log=True,
            points=tuple(
                Point(
                    x=step,
                    y=scale / step**power,
                    low=scale * 0.8 / step**power,
                    high=scale * 1.25 / step**power,
                    series=rule,
                )
                for rule, scale, power in (("captum rule", 0.6, 1), ("trapezoid", 2.1, 2))
                for step in steps
            ),
            table=error_table,
            caption="Halving the step should at least halve the error; a flat line would mean that the path is not what limits it.",
        ),
        Heat(
            title="Which layers speak for which class?",
            row_title="Layer",
            column_title="Class",
            value_title="Mean signed conductance (logit)",
            rows=tuple(name for name, _ in LAYERS[:6]),
            columns=classes,
            values=heat,
            table=heat_table,
            caption="Blue: for the class, orange: against it. A grey cell was not computed.",
        ),
        Picture(
            title="Where the first layer looks, one example per class",
            artifact="overlay.png",
            alternative="Attribution laid over the input, strongest left of the centre.",
            caption="Chosen by seeded draw, not by hand.",
        ),
        Table(
            title="Units with the largest share",
            columns=(
                Column(title="Layer"),
                Column(title="Unit", align="right"),
                Column(title="Share", unit="%", align="right"),
            ),
            rows=tuple(
                (
                    Word(value=LAYERS[index][0]),
                    Number(value=17 * index + 3, count=True),
                    Number(value=31.4 / (index + 1), low=29.0 / (index + 1), high=34.0 / (index + 1), n=256),
                )
                for index in range(5)
            ),
            note="Share of the layer's absolute conductance.",
        ),
    )


def section() -> Section:
    return Section(
        title="Conductance of every layer",
        question="How much of the change of the prediction, from the baseline to the input, flows through each layer and each of its units?",
        answer="The first shortcut and the head carry almost all of the change (head.linear 4.36 logit, 95 % interval 4.05 to 4.63); two layers of the third block work against it. The quadrature is complete to 0.3 %.",
        blocks=blocks(),
        findings=(
            Finding(
                code="completeness-gap",
                severity="failure",
                raised_if="the completeness error of a cut layer is above 5 %",
                meaning="At blocks.2.conv1 the attributions do not add up to the change of the output: read that layer's numbers as unreliable.",
                advice="Ask again with steps = 200, or with the trapezoid rule.",
                evidence="0.071 [0.063, 0.082] against 0.05, n = 256.",
                layer="blocks.2.conv1",
            ),
            Finding(
                code="works-against",
                severity="warning",
                raised_if="the interval of a layer's signed conductance lies wholly below zero",
                meaning="Two layers lower the predicted class on average.",
                advice="Look at the units with the largest negative share; compare with an earlier version.",
                evidence="blocks.2.conv1 \u22121.12 [\u22121.43, \u22120.85]; blocks.2.conv2 \u22120.68 [\u22120.99, \u22120.41].",
                layer="blocks.2.conv2",
            ),
            Finding(
                code="few-examples",
                severity="note",
                raised_if="fewer than 30 examples of a class were analysed",
                meaning="The intervals of class 8 are wide.",
                advice="Ask for more examples.",
            ),
        ),
        controls=(
            ControlRun(
                name="A layer off the path",
                question="Does a layer that cannot reach the output get nothing?",
                expected="exactly 0",
                observed="0",
                passed=True,
            ),
            ControlRun(
                name="A zero step",
                question="Does an input equal to its baseline get nothing?",
                expected="exactly 0 in every layer",
                observed="largest 0",
                passed=True,
            ),
            ControlRun(
                name="Doubled steps",
                question="Does the error fall when the steps are doubled?",
                expected="error at 128 steps at most 0.6 of that at 64",
                observed="0.71",
                passed=False,
            ),
            ControlRun(
                name="Against captum",
                question="Do layers recomputed by captum agree?",
                expected="within 1e-10",
                observed="captum cannot do the reused module",
                passed=None,
            ),
        ),
        not_applicable=(
            NotApplicable(subject="blocks.2.act", because="used twice; captum's hooks see only its last call"),
            NotApplicable(subject="aux.head", because="no gradient path to the output"),
        ),
        limits=(
            "Conductance depends on the baseline; only the zero baseline was used.",
            "It says what flows, not what would happen if a layer were removed.",
        ),
        source="Dhamdhere, Sundararajan and Yan 2018 (arXiv:1805.12233), equation 2.",
    )


def model_facts(name: str = "digit") -> ModelFacts:
    return ModelFacts(
        task="classification",
        input=InputFacts(
            kind="image",
            layout="NCHW",
            shape=(1, 8, 8),
            bounds=Bounds(low=(0.0,), high=(16.0,)),
            unit="grey level 0-16",
            preprocessing=Preprocessing(mean=(4.884,), std=(6.017,)),
        ),
        output=OutputFacts(kind="logits", classes=tuple(f"{name} {index}" for index in range(10))),
        accuracy=0.97,
        risk_tier="limited",
        role="Reads the amount field of scanned cheques.",
    )


def model_manifest() -> ModelManifest:
    return ModelManifest(
        format="pt2",
        rewriter="lamina-pt2 1",
        canonical_digest=digest_of(b"canonical model"),
        torch_version="2.13.0",
        batch=None,
        parameters=1_284_618,
        inputs=(TensorSpec(name="x", dtype="float32", shape=("N", "1", "8", "8")),),
        outputs=(TensorSpec(name="logits", dtype="float32", shape=("N", "10")),),
        layers=(
            *(
                Layer(
                    name=name,
                    type="Conv2d",
                    calls=1,
                    output_shape=("N", "16", "8", "8"),
                    parameters=1000,
                    leaf=True,
                    auditable="auditable",
                )
                for name, _ in LAYERS
            ),
            Layer(
                name="aux.head",
                type="Linear",
                calls=0,
                output_shape=(),
                parameters=80,
                leaf=True,
                auditable="not_fired",
                reason="never called",
            ),
        ),
        notes=("Sample inputs and the folder extra/ were dropped.", "3 shape guards were emptied."),
    )


def provenance(parameters: Mapping[str, JsonValue] | None = None) -> Provenance:
    return Provenance(
        analysis_digest=digest_of(repr(parameters).encode()),
        kind="layer_conductance",
        kind_version=1,
        model_digest=digest_of(b"canonical model"),
        input_digests={"evaluation": digest_of(b"canonical data")},
        seed="9f1c0a77d2e4b368",
        plan={"batch": 64, "dtype": "float32", "chunks": 4, "memory_bytes": 536_870_912},
        deterministic=True,
        machine=Machine(
            device="cpu",
            device_name="AMD EPYC 9B14",
            cpu_capability="AVX512",
            threads=1,
            platform="Linux 6.1 x86_64",
            python="3.11.14",
            versions={"torch": "2.13.0", "captum": "0.9.0", "numpy": "2.4.1"},
        ),
        sandbox_level="full",
        seconds=12.41,
        peak_bytes=412_876_800,
        quoted_seconds=14.0,
        quoted_bytes=450_000_000,
        worker="worker-1",
        attempt=1,
    )


def rich(*, body: Section | None = None, title: str = "Audit of cheque-digits, version 2") -> AuditReport:
    """An audit of four analyses: one answered, one failed, one cancelled, one with nothing to say against it."""
    parameters: dict[str, JsonValue] = {
        "steps": 64,
        "rule": "captum",
        "examples": 256,
        "epsilon": 8 / 255,
        "verify": 5,
        "layers": None,
    }
    quiet = Section(
        title="Integrated gradients of the input",
        question="Which pixels made the difference?",
        answer="The strokes, not the border: 91 % of the absolute attribution lies on inked pixels.",
        blocks=(
            Measure(
                label="Share on inked pixels",
                number=Number(value=0.912, low=0.903, high=0.921, n=256),
                direction="no direction",
            ),
        ),
        source="Sundararajan, Taly and Yan 2017 (arXiv:1703.01365), section 3.",
    )
    return build(
        title=title,
        audit=Submitted(
            id="019aab3e-7c52-7c1e-9c3e-52a3c1b0f7d1",
            state=AuditState.FINISHED,
            submitted_at=SUBMITTED,
            closed_at=SUBMITTED + timedelta(seconds=96),
            submitted_by="J. Okafor",
            tenant="Northgate Bank, model risk",
        ),
        model=Audited(
            name="cheque-digits",
            version="2",
            source_digest=digest_of(b"source model"),
            facts=model_facts(),
            manifest=model_manifest(),
        ),
        inputs=(
            UsedInput(
                role="evaluation",
                name="cheques-2026-q3",
                source_digest=digest_of(b"source data"),
                facts=DatasetFacts(input=model_facts().input, classes=model_facts().output.classes),
                manifest=DatasetManifest(
                    format="npz",
                    rewriter="lamina-npz 1",
                    canonical_digest=digest_of(b"canonical data"),
                    examples=17_970,
                    inputs=TensorSpec(name="inputs", dtype="uint8", shape=("N", "1", "8", "8")),
                    labels=None,
                    low=0.0,
                    high=16.0,
                ),
            ),
        ),
        analyses=(
            Answered(
                id="a-1",
                kind="layer_conductance",
                kind_version=1,
                state=AnalysisState.SUCCEEDED,
                parameters=parameters,
                section=section() if body is None else body,
                provenance=provenance(parameters),
                artifacts=(
                    Artifact(name="overlay.png", media_type="image/png", digest=digest_of(png()), size=len(png())),
                    Artifact(
                        name="per_example.safetensors",
                        media_type="application/octet-stream",
                        digest=digest_of(b"per example"),
                        size=1_843_220,
                    ),
                ),
            ),
            Answered(
                id="a-2",
                kind="integrated_gradients",
                kind_version=2,
                state=AnalysisState.SUCCEEDED,
                parameters={"steps": 50},
                section=quiet,
                provenance=provenance({"steps": 50}),
            ),
            Answered(
                id="a-3",
                kind="lime_image",
                kind_version=1,
                state=AnalysisState.FAILED,
                parameters={"samples": 1000},
                reason=Reason(
                    code="deadline-passed",
                    detail="The analysis was ended after 600 s, at 71 % of its samples.",
                    remedy="Ask for fewer samples, or raise the deadline of this tenant.",
                    permanent=False,
                    faults=(
                        Fault(pointer="/parameters/samples", detail="1000 samples take about 850 s on this machine"),
                    ),
                ),
            ),
            Answered(
                id="a-4",
                kind="layer_conductance",
                kind_version=1,
                state=AnalysisState.CANCELLED,
                parameters={"steps": 500},
                reason=Reason(code="cancelled", detail="Cancelled by J. Okafor."),
            ),
        ),
        kinds=KINDS,
        made_at=SUBMITTED + timedelta(seconds=101),
        lamina_version="0.1.0",
    )


PICTURES = {("a-1", "overlay.png"): png()}


def hostile() -> AuditReport:
    """Every text a customer or a child could choose is an attempt to leave its place."""
    bad = HOSTILE
    table = Table(
        title=bad,
        columns=(Column(title=bad, unit=bad[:64]),),
        rows=((Word(value=bad),), (Blank(because=bad),), (Number(value=3.5, unit=bad[:64]),)),
        note=bad,
    )
    names = (bad, bad + " ", "\u202eevil", "a\x01b", "", bad)
    body = Section(
        title=bad,
        question=bad,
        answer=bad,
        blocks=(
            Prose(text=bad),
            Measure(label=bad, number=Number(value=1.5, unit=bad[:64], n=4), direction=bad[:64], note=bad),
            table,
            Bars(
                title=bad,
                value_title=bad,
                unit=bad[:64],
                bars=tuple(
                    Bar(label=name, value=index - 2.5, group=bad if index % 2 else "g")
                    for index, name in enumerate(names)
                ),
                table=table,
                caption=bad,
            ),
            Lines(
                title=bad,
                x_title=bad,
                y_title=bad,
                y_log=True,
                points=(Point(x=0, y=0, series=bad), Point(x=1, y=2, series="'+alert(1)+'")),
                table=table,
                caption=bad,
            ),
            Heat(
                title=bad,
                row_title=bad,
                column_title=bad,
                value_title=bad,
                rows=(bad, bad),
                columns=(bad, "b"),
                values=((1.0, -1.0), (None, 0.0)),
                table=table,
                caption=bad,
            ),
            Picture(title=bad, artifact="overlay.png", alternative=bad, caption=bad),
        ),
        findings=(
            Finding(code="bad", severity="failure", raised_if=bad, meaning=bad, advice=bad, evidence=bad, layer=bad),
        ),
        controls=(ControlRun(name=bad, question=bad, expected=bad, observed=bad, passed=None),),
        not_applicable=(NotApplicable(subject=bad, because=bad),),
        limits=(bad,),
        source=bad,
    )
    return build(
        title=bad,
        audit=Submitted(
            id=bad, state=AuditState.FINISHED, submitted_at=SUBMITTED, closed_at=None, submitted_by=bad, tenant=bad
        ),
        model=Audited(name=bad, version=bad, source_digest=digest_of(b"m"), facts=model_facts(bad), manifest=None),
        inputs=(
            UsedInput(
                role=bad,
                name=bad,
                source_digest=digest_of(b"d"),
                facts=DatasetFacts(input=model_facts().input, classes=(bad,)),
                manifest=None,
            ),
        ),
        analyses=(
            Answered(
                id="a-1",
                kind=bad,
                kind_version=1,
                state=AnalysisState.SUCCEEDED,
                parameters={bad: {bad: [bad]}},
                section=body,
                provenance=provenance(),
                artifacts=(Artifact(name="overlay.png", media_type=bad, digest=digest_of(png()), size=3),),
            ),
            Answered(
                id=bad,
                kind=bad,
                kind_version=1,
                state=AnalysisState.FAILED,
                parameters={},
                reason=Reason(code="bad", detail=bad, remedy=bad, faults=(Fault(pointer=bad, detail=bad),)),
            ),
        ),
        kinds={bad: bad},
        made_at=SUBMITTED,
        lamina_version=bad,
    )
