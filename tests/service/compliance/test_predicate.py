"""Can a predicate say only what can be decided, and is it decided rightly?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.compliance.predicate import BadPredicate, Words, applies, check, facts

WORDS = Words(kinds={"lime_text", "saliency"}, families={"lime", "attribution"})
TRUE = facts(
    task="classification",
    tier="high",
    role="deployer",
    kinds={"lime_text"},
    families={"lime"},
    layers={"torch.nn.modules.activation.ReLU", "LSTM", "BatchNorm2d"},
    jurisdictions=("EU",),
)

GOOD = [
    ("", True),
    ("family lime", True),
    ("family attribution", False),
    ("not family attribution", True),
    ("not not family lime", True),
    ("used lime_text and used saliency", False),
    ("used lime_text or used saliency", True),
    ("used saliency and used saliency or used lime_text", True),
    ("used saliency and (used saliency or used lime_text)", False),
    ("used lime_text or used saliency and used saliency", True),
    ("not (used saliency or provider)", True),
    ("not used saliency or provider", True),
    ("deployer", True),
    ("provider", False),
    ("task classification and tier high", True),
    ("task regression", False),
    ("jurisdiction EU and not jurisdiction US", True),
    ("layer relu and layer recurrent and layer gated and layer normalisation", True),
    ("layer convolution or layer attention or layer linear or layer embedding", False),
    ("  deployer\n  and tier high ", True),
]


@pytest.mark.parametrize(("text", "holds"), GOOD)
def test_it_is_decided(text: str, holds: bool) -> None:
    check(text, WORDS)

    assert applies(text, TRUE) is holds


BAD = [
    ("family dogs", "'dogs' is no family: attribution, lime"),
    ("used lime", "'lime' is no used"),
    ("task", "'task' cannot|'' is no task"),
    ("colour red", "'colour red' cannot be decided"),
    ("operator", "'operator' cannot be decided"),
    ("deployer and", "the end stands where a word"),
    ("and deployer", "'and' stands where a word"),
    ("deployer provider", "'provider' stands where and, or"),
    ("(deployer", r"a \( has no \)"),
    ("deployer)", r"'\)' stands where and, or"),
    ("()", r"'\)' stands where a word"),
    ("not", "the end stands"),
    ("deployer or family dogs", "'dogs' is no family"),
    ("provider and family dogs", "'dogs' is no family"),
    ("__import__", "cannot be decided"),
    ("not " * 40 + "deployer", "nested more than 32"),
    ("(" * 2000 + "deployer" + ")" * 2000, "nested more than 32"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[text[:30] for text, _ in BAD])
def test_what_cannot_be_decided_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadPredicate, match=said):
        check(text, WORDS)


def test_who_is_both_is_each() -> None:
    both = facts(task="policy", tier="low", role="both", kinds=(), families=())

    assert applies("deployer and provider", both)


TERMS = st.recursive(
    st.sampled_from([("deployer", True), ("provider", False), ("tier high", True), ("task regression", False)]),
    lambda inner: st.one_of(
        inner.map(lambda term: (f"not {term[0]}" if " " not in term[0] else f"not ({term[0]})", not term[1])),
        st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}) and ({two[1][0]})", two[0][1] and two[1][1])),
        st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}) or ({two[1][0]})", two[0][1] or two[1][1])),
    ),
    max_leaves=12,
)


@given(TERMS)
def test_brackets_mean_what_they_mean(term: tuple[str, bool]) -> None:
    text, holds = term

    assert applies(text, TRUE) is holds


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        check(text, WORDS)
    except BadPredicate:
        return
    applies(text, TRUE)
