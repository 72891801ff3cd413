"""Networks that act, explore, or stop early when they are sure."""

import torch
from torch import Tensor, nn

STATE, WIDTH, CLASSES, SURE = 6, 8, 3, 0.4


class PolicyValue(nn.Module):
    """A state (N, 6) and a memory (N, 4) to logits of four actions and a value, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.memory = nn.Linear(STATE, WIDTH), nn.Linear(4, WIDTH)
        self.trunk = nn.Sequential(nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh())
        self.actor, self.critic = nn.Linear(WIDTH, 4), nn.Linear(WIDTH, 1)

    def forward(self, state: Tensor, memory: Tensor) -> dict[str, Tensor]:
        seen = self.trunk(self.state(state) + self.memory(memory))
        return {"policy": self.actor(seen), "value": self.critic(seen)}


class NoisyLinear(nn.Module):
    """A linear layer that explores by noise on its weights while it learns (Fortunato et al., arXiv:1706.10295)."""

    noise_in: Tensor
    noise_out: Tensor

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        bound = before**-0.5
        self.mean = nn.Parameter(torch.empty(after, before).uniform_(-bound, bound))
        self.spread = nn.Parameter(torch.full((after, before), 0.5 * bound))
        self.bias_mean = nn.Parameter(torch.empty(after).uniform_(-bound, bound))
        self.bias_spread = nn.Parameter(torch.full((after,), 0.5 * bound))
        self.register_buffer("noise_in", torch.randn(before))
        self.register_buffer("noise_out", torch.randn(after))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return nn.functional.linear(x, self.mean, self.bias_mean)
        weight = self.mean + self.spread * torch.outer(self.noise_out, self.noise_in)
        return nn.functional.linear(x, weight, self.bias_mean + self.bias_spread * self.noise_out)


class NoisyNet(nn.Module):
    """A state (N, 6) to the values of three actions, split into what the state is worth and what each adds."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(STATE, WIDTH), nn.ReLU())
        self.worth, self.gain = NoisyLinear(WIDTH, 1), NoisyLinear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.trunk(x)
        gain = self.gain(seen)
        made: Tensor = self.worth(seen) + gain - gain.mean(1, keepdim=True)
        return made


class _Exits(nn.Module):
    """Two ways out: after the first layer, and after all."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.early = nn.Sequential(nn.Linear(STATE, WIDTH), nn.ReLU()), nn.Linear(WIDTH, CLASSES)
        self.far, self.late = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU()), nn.Linear(WIDTH, CLASSES)


class MaskedExit(_Exits):
    """(N, 6) to (N, 3): both exits are computed, and each row takes the early one where that is sure."""

    def forward(self, x: Tensor) -> Tensor:
        seen = self.near(x)
        early, late = self.early(seen), self.late(self.far(seen))
        return torch.where(early.softmax(1).amax(1, keepdim=True) > SURE, early, late)


class ConditionalExit(_Exits):
    """(1, 6) to (1, 3): torch.cond runs one of two branches. One row at a time, or rows would decide for each other."""

    def forward(self, x: Tensor) -> Tensor:
        seen = self.near(x)
        early = self.early(seen)
        sure = early.softmax(1).amax() > SURE
        made: Tensor = torch.cond(sure, lambda a, _: a + 0, lambda _, b: self.late(self.far(b)), (early, seen))
        return made


class PythonExit(_Exits):
    """The same by a Python `if`, of which an export could hold one branch only."""

    def forward(self, x: Tensor) -> Tensor:
        seen = self.near(x)
        early: Tensor = self.early(seen)
        if early.softmax(1).amax() > SURE:
            return early
        late: Tensor = self.late(self.far(seen))
        return late
