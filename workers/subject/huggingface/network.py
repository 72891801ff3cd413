"""What does a stock class answer, as one tensor per batch? Its layers under their own names, its inputs in order."""

from typing import Any

import torch
from torch import Tensor, nn

from workers.subject.huggingface.families import Head

_NOTES: dict[Head, tuple[str, ...]] = {
    "classification": (),
    "image_classification": (),
    "token_classification": ("the output has the classes second, (N, classes, tokens), as cross_entropy reads it",),
    "next_token": ("the output is the logits of the token after the last of each text, (N, vocabulary)",),
    "seq2seq": ("the output is the logits of the token after the last of the decoder's, (N, vocabulary)",),
}


class Network(nn.Module):
    """Maps (ids, mask, decoder ids) or (pixels,) to one tensor; nothing is cached between calls.

    The stock class's children are this module's own, so `bert.encoder.layer.0` is called that here too.
    Inputs: ids int64 (N, T); mask, 1 where a token stands, (N, T); decoder ids (N, S). A mask that is not given leaves
    out what equals `pad`; decoder ids that are not given are the one token `start`.
    """

    def __init__(self, stock: nn.Module, head: Head, *, pad: int | None, start: int | None) -> None:
        super().__init__()
        if next(stock.parameters(recurse=False), None) is not None:
            raise AssertionError("the stock class has parameters of its own")
        self._stock = (stock,)  # in a tuple, so that it is no child and adds nothing to names
        self._head, self._pad, self._start = head, pad, start or 0
        for name, child in stock.named_children():
            self.add_module(name, child)

    @property
    def notes(self) -> tuple[str, ...]:
        """What its reader must know of the output."""
        return _NOTES[self._head]

    def forward(self, first: Tensor, mask: Tensor | None = None, decoder: Tensor | None = None) -> Tensor:
        """Logits: (N, classes), (N, classes, T) for token classification, (N, vocabulary) for a next token."""
        (stock,) = self._stock
        if self._head == "image_classification":
            answer: Tensor = stock(pixel_values=first).logits
            return answer
        attended = self._mask(first) if mask is None else mask
        given: dict[str, Any] = {"input_ids": first, "attention_mask": attended}
        if self._head == "seq2seq":
            given["decoder_input_ids"] = first.new_full((len(first), 1), self._start) if decoder is None else decoder
        if self._head in ("next_token", "seq2seq"):
            given["use_cache"] = False
        logits: Tensor = stock(**given).logits
        if self._head == "token_classification":
            return logits.transpose(1, 2)
        if self._head == "seq2seq":
            return logits[:, -1]
        if self._head == "next_token":
            places = torch.arange(first.shape[1], device=first.device)
            last = (attended.to(places.dtype).clamp(max=1) * places).argmax(dim=1)
            return logits[torch.arange(len(first), device=first.device), last]
        return logits

    def _mask(self, ids: Tensor) -> Tensor:
        return torch.ones_like(ids) if self._pad is None else (ids != self._pad).to(ids.dtype)
