"""What reruns are said to take, and how far passes without gradients are widened."""

from __future__ import annotations

from dataclasses import replace

import torch

from tests import networks
from tests.workers.suffix.made import prepared
from workers.suffix.ablation import LayerAblation
from workers.suffix.integrated_gradients import LayerIntegratedGradients
from workers.suffix.quote import quote, widened
from workers.sweep.ready import Prepared
from workers.sweep.target import Target


def images() -> Prepared:
    x = networks.points(1, 3, 12, 12)
    return prepared(networks.resnet(), x, torch.zeros_like(x), Target.classes(1))


def test_a_late_layer_is_cheaper_than_an_early_one():
    ready, method = images(), LayerIntegratedGradients(steps=16)
    early, late = (method.quote(ready, method.plan(ready, 1 << 28, 1, (layer,))) for layer in ("0", "7"))
    assert late.seconds < early.seconds
    assert late.bytes < early.bytes


def test_each_layer_of_a_plan_takes_its_share_of_the_time():
    ready, method = images(), LayerIntegratedGradients(steps=16)
    one, both = (method.quote(ready, method.plan(ready, 1 << 28, 1, layers)) for layers in (("0",), ("0", "1")))
    assert both.seconds > one.seconds


def test_passes_without_gradients_take_more_rows_where_the_memory_allows():
    ready = images()
    chunks = replace(ready.plan(144, 1 << 28, 1, ("7",)), points=16, examples=1)
    assert widened(ready.probe, chunks).points == 48  # three equal chunks of at most 64
    narrow = widened(ready.probe, replace(chunks, memory_bytes=5_200_000))
    assert 16 < narrow.points < 48
    assert quote(ready.probe, narrow, 1, {"7": 144}, slopes=False).bytes <= narrow.memory_bytes
    assert widened(ready.probe, replace(chunks, examples=2)).points == 16


def test_a_plan_within_a_budget_is_quoted_within_it():
    ready, method = images(), LayerAblation(along="last")
    chunks = method.plan(ready, 8 << 20, 1, ())
    assert method.quote(ready, chunks).bytes <= 8 << 20
