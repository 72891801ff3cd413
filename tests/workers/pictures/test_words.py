"""The text once per layer: the colour of each word, on one scale."""

import pytest
import torch

from tests.workers.pictures.drawn import lean, pixels
from workers.pictures.layers import LayerLine
from workers.pictures.words import MOST_LINES, MOST_TOKENS, token_lines


def ground(png, line, letters_before):
    """The ground left of the first letter of a word that has so many letters and two words before it."""
    return pixels(png)[9 + line * 38, 260 + letters_before + 1]


def test_words_have_the_colour_of_their_attribution_on_one_scale():
    tokens = ["good", "or", "bad"]
    early, late = torch.tensor([2.0, 0.0, -2.0]), torch.tensor([0.2, 0.0, 0.0])
    png = token_lines(tokens, [LayerLine("early", early), LayerLine("late", late)], "logit")
    places = (0, 4 * 12 + 8 + 4, 6 * 12 + 2 * (8 + 4))
    strong = [lean(ground(png, 0, place)) for place in places]
    weak = [lean(ground(png, 1, place)) for place in places]
    assert strong[0] > 100
    assert strong[1] == 0
    assert strong[2] < -100
    assert 0 < weak[0] < 0.2 * strong[0]
    assert weak[1:] == [0, 0]


def test_long_texts_go_on_in_the_next_line_and_odd_tokens_are_drawn():
    tokens = ["word", "日本", " ", "\n", "x" * 200, "\u2014"] * 20
    values = torch.linspace(-1, 1, len(tokens))
    png = token_lines(tokens, [LayerLine("encoder.layers.0", values)] * 2, "logit")
    assert png == token_lines(tokens, [LayerLine("encoder.layers.0", values)] * 2, "logit")
    assert pixels(png).shape[1] == 1440
    assert token_lines(["日"], [LayerLine("a", torch.ones(1))], "logit") == token_lines(
        ["#0"], [LayerLine("a", torch.ones(1))], "logit"
    )


def test_what_cannot_be_drawn_is_refused():
    one = torch.ones(1)
    with pytest.raises(ValueError, match="1 to 128 tokens"):
        token_lines(["a"] * (MOST_TOKENS + 1), [LayerLine("a", torch.ones(MOST_TOKENS + 1))], "logit")
    with pytest.raises(ValueError, match="12 layers"):
        token_lines(["a"], [LayerLine("a", one)] * (MOST_LINES + 1), "logit")
    with pytest.raises(ValueError, match="layer 'b' needs one finite"):
        token_lines(["a"], [LayerLine("a", one), LayerLine("b", one / 0)], "logit")
    with pytest.raises(ValueError, match="layer 'b' needs one finite"):
        token_lines(["a"], [LayerLine("b", torch.ones(2))], "logit")
