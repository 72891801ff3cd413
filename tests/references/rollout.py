"""Attention rollout and relevance, written out line by line: no batches, no heads at once, lists of rows.

Abnar and Zuidema, arXiv:2005.00928, section 3, equation 1; Chefer, Gur and Wolf, arXiv:2103.15679, section 3,
equations 5 to 10 (of the rules of equation 11 nothing is left where an encoder does not read its decoder).
"""

from __future__ import annotations

Matrix = list[list[float]]


def identity(size: int) -> Matrix:
    """I."""
    return [[1.0 if i == j else 0.0 for j in range(size)] for i in range(size)]


def product(a: Matrix, b: Matrix) -> Matrix:
    """A B."""
    return [[sum(a[i][k] * b[k][j] for k in range(len(b))) for j in range(len(b[0]))] for i in range(len(a))]


def added(a: Matrix, b: Matrix) -> Matrix:
    """A + B."""
    return [[x + y for x, y in zip(p, q, strict=True)] for p, q in zip(a, b, strict=True)]


def transposed(a: Matrix) -> Matrix:
    """Aᵀ."""
    return [[row[j] for row in a] for j in range(len(a[0]))]


def over_heads(heads: list[Matrix], how: str) -> Matrix:
    """One matrix from those of all heads: mean, max or min, number by number."""
    size = range(len(heads[0])), range(len(heads[0][0]))
    pick = {"mean": lambda xs: sum(xs) / len(xs), "max": max, "min": min}[how]
    return [[pick([head[i][j] for head in heads]) for j in size[1]] for i in size[0]]


def rollout(layers: list[list[Matrix]], how: str = "mean") -> list[Matrix]:
    """Ã after each layer. layers: the attention of each head of each layer, from the input on."""
    made: list[Matrix] = []
    for heads in layers:
        attention = over_heads(heads, how)
        size = len(attention)
        mixed = [[0.5 * attention[i][j] + 0.5 * (i == j) for j in range(size)] for i in range(size)]
        scaled = [[x / sum(row) for x in row] for row in mixed]
        made.append(product(scaled, made[-1]) if made else scaled)
    return made


def positive(heads: list[Matrix], gradients: list[Matrix]) -> Matrix:
    """Ā = E_h((∇A ⊙ A)⁺), equation 5."""
    parts = [
        [[max(a * g, 0.0) for a, g in zip(p, q, strict=True)] for p, q in zip(head, gradient, strict=True)]
        for head, gradient in zip(heads, gradients, strict=True)
    ]
    return over_heads(parts, "mean")


def relevance(layers: list[Matrix]) -> list[Matrix]:
    """R after each layer: R = I, then R = R + Ā R, equation 6."""
    made, each = identity(len(layers[0])), []
    for attention in layers:
        made = added(made, product(attention, made))
        each.append(made)
    return each


def normalised(relevance: Matrix) -> Matrix:
    """R̄ of equations 8 and 9; a row without any relevance but its own stays as it is."""
    rest = [[x - (i == j) for j, x in enumerate(row)] for i, row in enumerate(relevance)]
    scaled = [[x / sum(row) if sum(row) > 0 else 0.0 for x in row] for row in rest]
    return added(scaled, identity(len(relevance)))


def crossed(encoder: list[Matrix], decoder: list[tuple[str, Matrix]], tokens: int) -> list[tuple[Matrix, Matrix]]:
    """(R^ts, R^tt) after each cross-attention; equations 6 and 7 for self-attention, 10 for cross-attention."""
    source = relevance(encoder)[-1] if encoder else identity(tokens)
    size = len(decoder[0][1])
    own, across = identity(size), [[0.0] * tokens for _ in range(size)]
    each = []
    for kind, attention in decoder:
        if kind == "self":
            across = added(across, product(attention, across))
            own = added(own, product(attention, own))
        else:
            step = product(transposed(normalised(own)), product(attention, normalised(source)))
            across = added(across, step)
            each.append((across, own))
    return each
