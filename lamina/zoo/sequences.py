"""Networks that read what comes in order: recurrent ones over series, attention over series and over tokens."""

import torch
from torch import Tensor, nn

CHANNELS, WIDTH, CLASSES, VOCABULARY, LENGTH = 5, 8, 3, 20, 6


class Lstm(nn.Module):
    """(N, 6, 5) to (N, 3): two layers, both directions, dropout between."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(CHANNELS, 4, 2, batch_first=True, dropout=0.3, bidirectional=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(x)
        made: Tensor = self.head(out[:, -1])
        return made


class Gru(nn.Module):
    """(N, 6, 5) to (N, 3), read through the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(CHANNELS, WIDTH, batch_first=True), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.gru(x)
        made: Tensor = self.head(state[-1])
        return made


class CellLoop(nn.Module):
    """(N, 6, 5) to (N, 3): one cell, called at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(CHANNELS, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(x.shape[0], WIDTH)
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        made: Tensor = self.head(state)
        return made


class Encoder(nn.Module):
    """(N, 6, 5) to (N, 3): torch's own transformer encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(CHANNELS, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, 0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.encoder(self.embed(x)).mean(1))
        return made


class Attention(nn.Module):
    """Two heads whose parts are modules of their own; `bias` is added to the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.weights, self.out = nn.Softmax(-1), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, over: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (
            each.unflatten(2, (2, WIDTH // 2)).transpose(1, 2)
            for each in (self.query(x), self.key(over), self.value(over))
        )
        weights = self.weights(query @ key.transpose(2, 3) / (WIDTH // 2) ** 0.5 + bias)
        made: Tensor = self.out((weights @ value).transpose(1, 2).flatten(2))
        return made


class Layer(nn.Module):
    """Attention and a feed-forward part, each beside a skip connection; `cross` attends to a second sequence."""

    def __init__(self, norm: type[nn.Module] = nn.LayerNorm, *, cross: bool = False) -> None:
        super().__init__()
        self.attention, self.norm1, self.norm2 = Attention(), norm(WIDTH), norm(WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, WIDTH))
        self.cross = Attention() if cross else None
        self.norm3 = norm(WIDTH) if cross else None

    def forward(self, x: Tensor, bias: Tensor, over: Tensor | None = None, over_bias: Tensor | None = None) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attention(normed, normed, bias)
        if self.cross is not None and self.norm3 is not None:
            x = x + self.cross(self.norm3(x), over, over_bias)
        made: Tensor = x + self.feed(self.norm2(x))
        return made


class Bert(nn.Module):
    """Ids (N, 6) and a mask of what to read (N, 6), to (N, 3) through a pooler."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.norm, self.layers = nn.LayerNorm(WIDTH), nn.ModuleList(Layer() for _ in range(2))
        self.pooler, self.head = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()), nn.Linear(WIDTH, CLASSES)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.norm(self.words(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device)))
        bias = (1 - mask[:, None, None, :].to(x.dtype)) * -1e4
        for layer in self.layers:
            x = layer(x, bias)
        made: Tensor = self.head(self.pooler(x[:, 0]))
        return made


class Gpt(nn.Module):
    """Ids (N, 6) to the logits of the next one at every place, (N, 6, 20); the head shares the embedding's weights."""

    ahead: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.layers, self.norm = nn.ModuleList(Layer() for _ in range(2)), nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.words.weight
        self.register_buffer("ahead", torch.full((LENGTH, LENGTH), float("-inf")).triu(1))

    def forward(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        x = self.words(ids) + self.positions(torch.arange(length, device=ids.device))
        for layer in self.layers:
            x = layer(x, self.ahead[:length, :length])
        made: Tensor = self.head(self.norm(x))
        return made


class Summariser(nn.Module):
    """Ids of a text (N, 6) and of its summary so far (N, 4), to the logits of the next id, (N, 4, 20); as T5."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.distance = nn.Embedding(2 * LENGTH, 2)
        self.encoder = Layer(nn.RMSNorm)
        self.decoder = Layer(nn.RMSNorm, cross=True)
        self.norm, self.head = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)

    def _bias(self, length: int, device: torch.device) -> Tensor:
        """One number per head for how far two places lie apart."""
        at = torch.arange(length, device=device)
        made: Tensor = self.distance(at[:, None] - at[None, :] + LENGTH).permute(2, 0, 1).unsqueeze(0)
        return made

    def forward(self, text: Tensor, summary: Tensor) -> Tensor:
        read = self.encoder(self.words(text), self._bias(text.shape[1], text.device))
        length = summary.shape[1]
        at = torch.arange(length, device=text.device)
        ahead = torch.where(at[:, None] < at[None, :], -1e4, 0.0)
        bias = self._bias(length, text.device) + ahead
        x = self.decoder(self.words(summary), bias, read, torch.zeros(1, device=text.device))
        made: Tensor = self.head(self.norm(x))
        return made
