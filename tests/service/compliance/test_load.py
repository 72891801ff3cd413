"""Is a library that cannot be assessed refused, with everything that is wrong and where?"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from service.catalog import catalog
from service.compliance import load as module
from service.compliance.checks import DECLARED, OWN
from service.compliance.load import BadLibrary, Measurable, load, schema, shipped
from service.compliance.possible import compared_values, values_of
from service.contracts.vocabulary import METRICS

MEASURABLE = Measurable.of(catalog())
FOLDER = Path(module.__file__).parent

SMALL = """schema: control-library/1
id: small
version: 2026.1.0
as_of: 2026-01-31
disclaimer: It claims nothing.
frameworks:
  - id: NIST
    name: A framework
    status: voluntary
    as_of: 2026-01-31
    items: {MS-1.1: measures, "15": accuracy}
controls:
  - id: ROB-01
    title: It is accurate
    meaning: It should be.
    references: [NIST.MS-1.1, NIST.15]
    requirements:
      - {source: measurement, metric: clean_accuracy, op: ">=", threshold: 0.9, rule: ci, n: 10, fresh: 30, basis: O}
  - id: ROB-02
    title: Its attacks are sound
    meaning: They should be.
    guard: ROB-01
    applies: family lime
    requirements:
      - {source: measurement, metric: attack_checks_failed, op: "==", threshold: 0, rule: exact,
         n: 1, fresh: 30, basis: P}
"""


def refused(text: str) -> str:
    with pytest.raises(BadLibrary) as caught:
        load(text, MEASURABLE)
    return str(caught.value)


def test_a_small_library_is_read() -> None:
    library = load(SMALL, MEASURABLE)

    assert library.name == "small 2026.1.0"
    assert [control.id for control in library.controls] == ["ROB-01", "ROB-02"]
    assert [item.id for item in library.frameworks[0].items] == ["MS-1.1", "15"]
    assert library.as_of == "2026-01-31"


EDITS: list[tuple[str, str, str]] = [
    (
        "clean_accuracy",
        "clean_acuracy",
        "line 18: ROB-01, requirement 1: 'clean_acuracy' is no word .* clean_accuracy?",
    ),
    ("NIST.15", "NIST.16", "line 13: ROB-01: it refers to NIST.16, which no framework has"),
    ("NIST.15", "ISO.15", "line 13: ROB-01: it refers to ISO.15"),
    ("id: ROB-02", "id: ROB-01", "ROB-01: two controls have this id"),
    ("guard: ROB-01", "guard: ROB-09", "line 19: ROB-02: its guard ROB-09 is no control"),
    ("guard: ROB-01", "guard: ROB-02", "ROB-02: its guard leads back to itself"),
    ("family lime", "family dogs", "ROB-02: applies: 'dogs' is no family"),
    ("fresh: 30, basis: O", "fresh: 0, basis: O", r"line 18: controls.ROB-01.requirements.0.fresh: .*greater than"),
    ("n: 10,", "n: 0,", r"line 18: .*\.n: .*greater than"),
    ("threshold: 0.9", "threshold: 1.5", ">= 1.5 can never be met: its values lie between 0 and 1"),
    ("threshold: 0.9", "threshold: 0", ">= 0 can never fail"),
    ("threshold: 0.9", "threshold: .nan", "threshold"),
    ("threshold: 0.9", "threshold: a lot", "threshold"),
    ('">=", threshold: 0.9, rule: ci', '"==", threshold: 0.9, rule: ci', "the rule exact goes with =="),
    ("rule: ci", "rule: exact", "the rule exact goes with =="),
    ('"==", threshold: 0, rule: exact', '"<=", threshold: 3, rule: ci', "is counted"),
    ('"==", threshold: 0', '"==", threshold: -1', "== -1 can never be met"),
    ("metric: clean_accuracy", "kinds: [dogs], metric: clean_accuracy", "no kind of analysis is called 'dogs'"),
    ("metric: clean_accuracy", "family: dogs, metric: clean_accuracy", "of a family 'dogs'"),
    ("metric: clean_accuracy", "over: total, metric: clean_accuracy", "only counts are added up"),
    ("metric: clean_accuracy", "colour: red, metric: clean_accuracy", "line 18: .*colour: Extra inputs"),
    ("metric: clean_accuracy", "applies: task dogs, metric: clean_accuracy", "'dogs' is no task"),
    ("metric: clean_accuracy", "metric: chain_breaks", "its source is the service itself"),
    (
        "metric: attack_checks_failed",
        "relative_to: declared, metric: attack_checks_failed",
        "a level is declared for clean_accuracy, robust_accuracy only",
    ),
    ("source: measurement, metric: attack_checks_failed", "source: ledger, metric: failed_checks", "the source ledger"),
    (
        "source: measurement, metric: attack_checks_failed",
        "source: waiver, kinds: [robustness], metric: invalid_waivers",
        "has no kinds",
    ),
    (
        "source: measurement, metric: attack_checks_failed",
        "source: ledger, relative_to: baseline, metric: chain_breaks",
        "compared with a threshold alone",
    ),
    ("threshold: 0.9", "threshold: 0.9, threshold: 0.1", "line 18: 'threshold' is given twice"),
    ("references: [NIST.MS-1.1, NIST.15]", "references: &r [NIST.MS-1.1]\n    x: *r", "alias"),
    ("id: small", "id: [small", "no YAML"),
    ("control-library/1", "control-library/2", "line 1: schema"),
    ("title: It is accurate", "titel: It is accurate", "controls.ROB-01.title"),
]


@pytest.mark.parametrize(("old", "new", "said"), EDITS, ids=[f"{new[:40]}" for _, new, _ in EDITS])
def test_what_cannot_be_is_refused_with_its_place(old: str, new: str, said: str) -> None:
    assert old in SMALL
    assert re.search(said, refused(SMALL.replace(old, new, 1))), refused(SMALL.replace(old, new, 1))


def test_all_faults_are_told_at_once() -> None:
    text = SMALL.replace("clean_accuracy", "x").replace("NIST.15", "NIST.9").replace("family lime", "family y")

    with pytest.raises(BadLibrary) as caught:
        load(text, MEASURABLE)

    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("text", ["", "[]", "3", "a: b", "\0", "- " * 5000, "!!python/object/apply:os.system [ls]"])
def test_what_is_no_library_is_refused(text: str) -> None:
    assert refused(text)


def test_a_file_without_end_is_not_read() -> None:
    assert "1000001 characters" in refused("#" * 1_000_001)


def test_guards_may_not_go_in_circles() -> None:
    text = SMALL.replace("    references: [NIST.MS-1.1, NIST.15]\n", "    guard: ROB-02\n")

    assert "ROB-01: its guard leads back to itself" in refused(text)
    assert "ROB-02: its guard leads back to itself" in refused(text)


def test_what_the_library_announces_may_be_named_and_is_unmeasured() -> None:
    text = SMALL.replace("id: small", "id: small\nkinds: [later]").replace(
        "metric: clean_accuracy", "kinds: [later], metric: clean_accuracy"
    )

    (requirement,) = load(text, MEASURABLE).controls[0].requirements

    assert MEASURABLE.by(requirement) == frozenset()


# --- the library that is shipped -------------------------------------------------------------------------------------


def test_the_shipped_library_has_every_control() -> None:
    families = {"XAI": 9, "ROB": 6, "LYR": 2, "DRF": 3, "REP": 2, "INT": 3, "COV": 2, "GOV": 8}

    ids = [control.id for control in shipped().controls]

    assert ids == [f"{family}-{number + 1:02}" for family, count in families.items() for number in range(count)]


def test_eight_controls_need_a_person_or_less() -> None:
    stated = [c.id for c in shipped().controls if any(need.source == "attestation" for need in c.requirements)]

    assert stated == ["ROB-06", "GOV-01", "GOV-02", "GOV-03", "GOV-04", "GOV-06", "GOV-07"]


def test_the_schema_on_file_is_that_of_the_library() -> None:
    on_file = json.loads((FOLDER / "library.schema.json").read_text())

    assert on_file == schema(), "write it anew: json.dump(schema(), ..., indent=2)"
    jsonschema.Draft202012Validator.check_schema(on_file)
    jsonschema.Draft202012Validator(on_file).validate(yaml.safe_load((FOLDER / "library.yaml").read_text()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tree: tree["controls"][0].update(colour="red"),
        lambda tree: tree["controls"][0]["requirements"][0].update(fresh=0),
        lambda tree: tree["frameworks"][0]["items"].update(x=3),
        lambda tree: tree.pop("version"),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(spoil: Callable[[Any], Any]) -> None:
    tree = yaml.safe_load((FOLDER / "library.yaml").read_text())
    spoil(tree)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree, schema())
    assert refused(json.dumps(tree))


def test_what_the_service_itself_knows_is_in_the_vocabulary() -> None:
    assert set().union(*OWN.values(), DECLARED) <= METRICS.keys()


def test_every_basis_that_is_published_says_by_whom() -> None:
    for control in shipped().controls:
        for need in control.requirements:
            if need.basis == "P":
                assert any(word in need.statement for word in ("et al.", "vendor")), (control.id, need.statement)


def test_what_a_control_applies_to_can_answer_it() -> None:
    """A kind named in `applies` measures what is asked for, or using it would leave the control without an answer."""
    for control in shipped().controls:
        for kind in re.findall(r"used (\w+)", control.applies):
            assert any(kind in MEASURABLE.by(need) for need in control.requirements), (control.id, kind)


def test_no_word_of_the_library_claims_conformity() -> None:
    text = (FOLDER / "library.yaml").read_text().lower()

    assert "compliant" not in text
    assert "certified" not in text


@pytest.mark.parametrize(
    ("metric", "low", "high"),
    [
        ("clean_accuracy", 0, 1),
        ("seed_ranks", -1, 1),
        ("lime_held_out", -float("inf"), 1),
        ("deletion_gain", -float("inf"), float("inf")),
        ("completeness_error", 0, float("inf")),
        ("replay_mismatches", 0, float("inf")),
        ("paired_accuracy_difference", -1, 1),
    ],
)
def test_what_a_metric_can_be(metric: str, low: float, high: float) -> None:
    assert values_of(metric) == (low, high)


def test_a_difference_reaches_twice_as_far() -> None:
    need = shipped().controls[0].requirements[0].model_copy(update={"metric": "clean_accuracy"})

    assert compared_values(need.model_copy(update={"relative_to": "baseline"})) == (-1, 1)
    assert compared_values(need.model_copy(update={"relative_to": "baseline_ratio"})) == (0, float("inf"))
