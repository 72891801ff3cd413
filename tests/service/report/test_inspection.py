"""Does the inspection page show what the manifest says, in a form a person can read, whatever the model is called?"""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from service.contracts.base import digest_of
from service.contracts.manifest import Exit, Layer, ModelManifest, Notice, TensorSpec, Verdict
from service.contracts.problem import Fault, Reason
from service.contracts.status import IntakeState
from service.report.inspection import Inspection, Registered, build, wilson
from service.report.inspection_html import HOVER_ROWS, OPEN_ROWS, render
from service.report.tree import amount, mark
from service.report.untested import not_tested
from tests.growth import LINEAR, processor_seconds
from tests.service.report.reading import Page, shown_at
from tests.service.report.samples import HOSTILE, model_facts

NO_PLACES = "its output has no places besides its channels"
RULES = Verdict(state="not_applicable", reason="a function is not a module")


def layer(name: str, **changes: Any) -> Layer:
    verdict = Verdict(state="auditable")
    given: dict[str, Any] = {
        "name": name, "type": "Conv2d", "calls": 1, "output_shape": ("N", "16", "8", "8"), "parameters": 1000,
        "leaf": True, "auditable": "auditable", "shapes": (("N", "16", "8", "8"),), "flops": 500_000,
        "verdicts": {"forward": verdict, "gradient": verdict, "cam": verdict, "rules": RULES},
    }  # fmt: skip
    return Layer(**(given | changes))


NEVER = Verdict(state="not_reached", reason="it never ran")
LAYERS = (
    layer("stem"),
    layer("body", type="Sequential", parameters=4000, leaf=False),
    layer("body.0", shapes=(("N", "4"), ("N", "4"), ("2N", "8")), calls=3),
    layer("body.1", type="Linear", flops=None, calls=0, output_shape=(), shapes=(), parameters=0,
          verdicts=dict.fromkeys(("forward", "gradient", "cam", "rules"), NEVER)),
    layer("body.inner.deep"),
    layer("head", type="Linear", verdicts={
        "forward": Verdict(state="auditable"), "gradient": Verdict(state="forward_only", reason="it is changed"),
        "cam": Verdict(state="not_applicable", reason=NO_PLACES), "rules": RULES}),
)  # fmt: skip


def manifest(*layers: Layer, **changes: Any) -> ModelManifest:
    given: dict[str, Any] = {
        "format": "pt2", "rewriter": "lamina.pt2/1", "canonical_digest": digest_of(b"canonical"),
        "torch_version": "2.13.0", "batch": None, "parameters": 8000, "flops": 1_000_000,
        "inputs": (TensorSpec(name="input", dtype="float32", shape=("N", "1", "8", "8")),),
        "outputs": (TensorSpec(name="output 0", dtype="int64", shape=("N",)),
                    TensorSpec(name="output 1", dtype="float32", shape=("N", "10"))),
        "analysed": 1, "layers": layers, "notes": ("dropout was switched off",),
        "warnings": (Notice(code="static-batch", detail="exported with 3 rows", advice="Nothing need be done."),),
        "exits": (Exit(name="exit.early", taken=13, of=64),),
    }  # fmt: skip
    return ModelManifest(**(given | changes))


def registered(found: ModelManifest | None, **changes: Any) -> Registered:
    given: dict[str, Any] = {
        "name": "street-reader", "version": "3", "state": IntakeState.READY, "source_digest": digest_of(b"source"),
        "by": "ada", "at": datetime(2026, 11, 22, 9, 30, tzinfo=UTC), "facts": model_facts(), "manifest": found,
        "refusal": None,
    }  # fmt: skip
    return Registered(**(given | changes))


@pytest.fixture(scope="module")
def shown() -> Inspection:
    return build(registered(manifest(*LAYERS)))


@pytest.fixture(scope="module")
def html(shown) -> str:
    return render(shown)


# --- values


def test_layers_stand_in_the_order_of_the_tree_with_their_depth(shown) -> None:
    assert [(row.depth, row.label, row.children) for row in shown.layers] == [
        (0, "stem", 0),
        (0, "body", 3),
        (1, "0", 0),
        (1, "1", 0),
        (1, "inner.deep", 0),
        (0, "head", 0),
    ]


def test_layers_that_the_file_lists_apart_are_brought_together() -> None:
    found = build(registered(manifest(layer("a.x"), layer("b"), layer("a"), layer("a.y"))))
    assert [row.name for row in found.layers] == ["b", "a", "a.x", "a.y"]


def test_shapes_of_calls_are_shown_once_each(shown) -> None:
    assert [row.shapes for row in shown.layers[:4]] == [
        "N × 16 × 8 × 8",
        "N × 16 × 8 × 8",
        "N × 4, 2N × 8",
        "",
    ]
    many = layer("a", shapes=tuple(("N", str(at)) for at in range(7)))
    assert build(registered(manifest(many))).layers[0].shapes == "N × 0, N × 1, N × 2, N × 3, and 3 more"


def test_amounts_carry_their_share_of_the_whole(shown) -> None:
    assert (shown.layers[0].parameters.display, shown.layers[0].parameters.share) == ("1\u202f000", 0.125)
    flops = shown.layers[0].flops
    assert flops is not None
    assert (flops.display, flops.share) == ("500\u202fk", 0.5)
    assert shown.layers[3].flops is None


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0"),
        (9_999, "9 999"),
        (10_000, "10.0 k"),
        (99_950, "100 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (22_473_000_000, "22.5 G"),
        (10**21, "1000000 P"),
    ],
)
def test_amounts_have_three_digits(number, expected) -> None:
    assert amount(number).replace("\u202f", " ") == expected


def test_reasons_are_told_once_and_cited_by_marks(shown) -> None:
    assert [(why.mark, why.text, why.count) for why in shown.reasons] == [
        ("a", "a function is not a module", 5),
        ("b", "it never ran", 4),
        ("c", "it is changed", 1),
        ("d", NO_PLACES, 1),
    ]
    head = shown.layers[-1].verdicts
    assert {family: (one.display, one.reason) for family, one in head.items()} == {
        "forward": ("● auditable", None),
        "gradient": ("◐ forward only", 2),
        "cam": ("– not applicable", 3),
        "rules": ("– not applicable", 0),
    }
    assert [mark(at) for at in (0, 25, 26, 27, 701, 702)] == ["a", "z", "aa", "ab", "zz", "aaa"]


def test_a_manifest_from_before_verdicts_says_so() -> None:
    old = build(registered(manifest(layer("a", verdicts={}, shapes=()))))
    assert {one.display for one in old.layers[0].verdicts.values()} == {"? unknown"}
    assert "register it again" in old.reasons[0].text
    assert old.layers[0].shapes == "N × 16 × 8 × 8"


def test_exits_have_wilsons_interval(shown) -> None:
    """13 of 64: (13 + z²/2 ± z sqrt(13·51/64 + z²/4)) / (64 + z²) with z = 1.96 is 0.2199 ± 0.0972."""
    assert wilson(13, 64) == (pytest.approx(0.1227, abs=1e-4), pytest.approx(0.3171, abs=1e-4))
    assert shown.exits[0].share.display == "0.20 [0.12, 0.32]"
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1
    assert build(registered(manifest(exits=(Exit(name="e", taken=0, of=0),)))).exits[0].share.display == "0 [0, 1.0]"


def test_what_was_declared_stands_beside_what_was_found(shown) -> None:
    lines = {line.what: (line.declared.display, line.found.display) for line in shown.compared}
    assert lines["Input"] == ("image, NCHW, 1 × 8 × 8", "float32, N × 1 × 8 × 8")
    assert lines["Output"] == ("logits, in logit", "float32, N × 10")
    assert lines["Classes"][1] == "10 outputs"
    assert lines["Accuracy"] == ("0.97", "–")
    assert [(one.name, one.analysed) for one in shown.outputs] == [
        ("output 0", "not analysed"),
        ("output 1", "analysed"),
    ]


def test_an_audit_report_repeats_the_warnings_before_any_result() -> None:
    lines = not_tested((), (), manifest(*LAYERS), {})
    assert "Inspection of the model warned (static-batch): exported with 3 rows. Nothing need be done." in lines


# --- page


def test_every_marked_element_shows_exactly_what_the_value_has_at_its_pointer(shown, html) -> None:
    document = json.loads(shown.model_dump_json())
    marked = Page(html).shown
    assert len(marked) > 60
    for pointer, text in marked:
        assert text == shown_at(document, pointer), pointer


def test_every_row_of_the_tree_shows_its_layer(shown, html) -> None:
    rows = re.findall(
        r'<(?:div|summary) class="r d(\d+)" data-layer="(\d+)">\s*(.*?)\s*</(?:div|summary)>', html, re.DOTALL
    )
    assert [int(index) for _, index, _ in rows] == list(range(len(shown.layers)))
    for depth, index, cells in rows:
        row = shown.layers[int(index)]
        texts = [re.sub("<[^>]*>", "", text) for text in re.split(r"(?<=</span>)(?=<span)", cells)]
        verdicts = [
            one.display + ("" if one.reason is None else shown.reasons[one.reason].mark)
            for one in row.verdicts.values()
        ]
        flops = "–" if row.flops is None else row.flops.display
        assert int(depth) == row.depth
        assert texts == [
            row.label, row.type, row.shapes or "–", str(row.calls), row.parameters.display, flops, *verdicts
        ]  # fmt: skip


def test_no_digit_stands_outside_an_element_that_names_its_place(html) -> None:
    around = re.sub(r"<div class=\"tree\">.*</section>", "</section>", html, flags=re.DOTALL)
    assert [
        text for text in Page(around).loose if any(letter.isdigit() for letter in text) and "95 %" not in text
    ] == []


def test_containers_fold_without_a_script_and_bars_are_drawn_in_css(html) -> None:
    assert html.count("<details open>") == 1
    assert '<i style="width:50%"></i>' in html
    assert "<script" not in html


def test_reasons_are_text_on_the_page_and_not_only_on_hover(shown, html) -> None:
    for why in shown.reasons:
        assert f'id="why-{why.mark}"' in html
        assert f'href="#why-{why.mark}"' in html
    assert html.count(f'title="{NO_PLACES}"') == 1
    assert html.count(NO_PLACES) == 2


def test_warnings_come_before_everything_that_was_found(html) -> None:
    assert html.index("exported with 3 rows") < html.index("Nothing need be done.") < html.index("Declared and found")


def test_a_refused_model_shows_why_and_what_to_do() -> None:
    refusal = Reason(
        code="pickled-tensor", detail="a pickle", remedy="export again", faults=(Fault(pointer="/a", detail="b"),)
    )
    html = render(build(registered(None, state=IntakeState.REFUSED, refusal=refusal)))
    marked = dict(Page(html).shown)
    assert (marked["/refusal/detail"], marked["/refusal/remedy"]) == ("a pickle", "export again")
    assert marked["/refusal/faults/0/pointer"] == "/a"
    assert 'id="layers"' not in html
    assert "Declared and found" in html


def test_a_model_that_waits_says_that_it_waits() -> None:
    html = render(build(registered(None, state=IntakeState.INSPECTING)))
    assert "Not inspected yet" in html


def test_a_black_box_says_that_there_is_nothing_to_see() -> None:
    assert "the model is a black box here" in render(build(registered(manifest(black_box=True, flops=None))))


def test_hostile_names_stay_text() -> None:
    bad = Verdict(state="forward_only", reason=HOSTILE)
    hostile = manifest(
        layer(HOSTILE.replace("\n", " ")[:200], type=HOSTILE[:200], shapes=((HOSTILE[:200],),),
              verdicts=dict.fromkeys(("forward", "gradient", "cam", "rules"), bad)),
        notes=(HOSTILE,), warnings=(Notice(code="x", detail=HOSTILE, advice=HOSTILE),),
        rewriter=HOSTILE[:200], torch_version=HOSTILE[:200], tokenizer=HOSTILE[:200],
        outputs=(TensorSpec(name=HOSTILE[:200], dtype=HOSTILE[:200], shape=(HOSTILE[:200],)),),
        exits=(Exit(name=HOSTILE[:200], taken=1, of=2),),
    )  # fmt: skip
    html = render(build(registered(hostile, name="<script>alert(1)</script>", by=HOSTILE[:200])))
    page = Page(html)
    assert "<script" not in html
    assert {tag for tag, _ in page.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "a", "header", "main", "footer", "section", "article", "p"),
        *("h1", "h2", "h3", "dl", "dt", "dd", "div", "span", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"),
        *("details", "summary", "small", "i"),
    }
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert str(attributes.get("href") or "#").startswith("#")
        assert set(str(attributes.get("style") or "")) <= set("width:0123456789%")


@pytest.mark.slow
def test_five_thousand_layers_stay_a_small_page() -> None:
    verdicts = {
        "forward": Verdict(state="auditable"), "gradient": Verdict(state="auditable"),
        "cam": Verdict(state="not_applicable", reason=NO_PLACES), "rules": RULES,
    }  # fmt: skip
    names = [
        name
        for block in range(500)
        for name in (f"encoder.layers.{block}", *(f"encoder.layers.{block}.attention.part{at}" for at in range(9)))
    ]
    layers = tuple(layer(name, verdicts=verdicts) for name in ("encoder", *names[:-1]))
    assert len(layers) == 5000
    few, all_of_them = registered(manifest(*layers[:500])), registered(manifest(*layers))
    html = render(build(all_of_them))
    longer, shorter = (processor_seconds(lambda model=model: render(build(model))) for model in (all_of_them, few))
    assert longer < LINEAR * shorter
    assert len(html.encode()) < 3_000_000
    assert HOVER_ROWS < 5000
    assert OPEN_ROWS < 5000
    assert html.count("<details") == html.count("</details>") == 501
    assert html.count("<details open>") == 1
    Page(html)
