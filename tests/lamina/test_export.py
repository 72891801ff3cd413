"""Does a network become a `.pt2` that gives its outputs, and is what cannot be exported refused with a way out?"""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from lamina import export as exporter
from lamina.export import ExportRefused, export, export_from_reference, main
from tests.workers.networks import SHAPES, Branching, Cnn, Mlp, TwoOutputs, made

MODULE = """
import torch
from torch import nn

def factory():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))

network = factory()
number = 3

class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x
"""


@pytest.mark.parametrize("kind", SHAPES)
def test_a_network_in_training_mode_is_exported_in_evaluation_mode_and_left_in_training_mode(kind, tmp_path):
    network = made(kind).train()
    report = export(network, torch.randn(2, *SHAPES[kind]), tmp_path / "m.pt2")
    assert all(module.training for module in network.modules())
    assert report.batch is None
    assert report.difference <= 1e-5
    loaded = torch.export.load(tmp_path / "m.pt2").module()
    x = torch.randn(5, *SHAPES[kind])
    torch.testing.assert_close(loaded(x), network.eval()(x), rtol=0, atol=1e-6)


def test_a_single_example_still_gives_a_dynamic_batch(tmp_path):
    assert export(made(Mlp), torch.randn(1, 4), tmp_path / "m.pt2").batch is None


def test_a_network_that_fixes_its_batch_is_exported_static_with_a_notice(tmp_path):
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 3)

        def forward(self, x):
            return self.body(x.reshape(2, 4))

    report = export(Fixed(), torch.randn(2, 4), tmp_path / "m.pt2")
    assert report.batch == 2
    assert "batch size is fixed to 2" in report.notices[0]
    assert "batch size: always 2" in report.text()


def test_a_static_export_is_made_when_asked_for(tmp_path):
    assert export(made(Mlp), torch.randn(3, 4), tmp_path / "m.pt2", dynamic_batch=False).batch == 3


def test_float64_exports_a_copy_and_leaves_the_network_in_float32(tmp_path):
    network = made(Cnn)
    report = export(network, torch.randn(2, 1, 8, 8), tmp_path / "m.pt2", float64=True)
    assert report.dtype == "float64"
    assert report.difference <= 1e-12
    assert next(network.parameters()).dtype == torch.float32


def test_no_source_line_path_or_example_is_in_the_file(tmp_path):
    example = torch.full((2, 4), 0.123456789)
    export(made(Mlp), example, tmp_path / "m.pt2")
    with zipfile.ZipFile(tmp_path / "m.pt2") as file:
        content = b"".join(file.read(name) for name in file.namelist())
    assert b"stack_trace" not in content
    assert b"networks.py" not in content
    assert example[:1].numpy().tobytes() not in content


def test_a_python_branch_on_data_is_refused_with_three_ways_out(tmp_path):
    with pytest.raises(ExportRefused, match=r"torch\.where") as refused:
        export(made(Branching), torch.randn(2, 4), tmp_path / "m.pt2")
    assert "torch.cond" in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_network_that_is_random_in_evaluation_mode_is_refused_and_nothing_is_written(tmp_path):
    class Random(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    with pytest.raises(ExportRefused, match="random in evaluation mode"):
        export(Random(), torch.randn(2, 4), tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


def test_a_network_whose_python_state_changes_is_refused(tmp_path):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = 0

        def forward(self, x):
            self.scale += 1
            return x * self.scale

    with pytest.raises(ExportRefused, match="other outputs than the model"):
        export(Counting(), torch.randn(2, 4), tmp_path / "m.pt2")


def test_what_the_network_cannot_read_and_other_file_names_are_refused(tmp_path):
    with pytest.raises(ExportRefused, match=r"does not run on the example, \(2, 4\) of torch.int64: .*dtype"):
        export(made(Mlp), torch.zeros(2, 4, dtype=torch.int64), tmp_path / "m.pt2")
    with pytest.raises(ExportRefused, match=r"must end in \.pt2"):
        export(made(Mlp), torch.zeros(2, 4), tmp_path / "m.pt")


def test_a_network_that_gives_several_tensors_is_compared_on_all_of_them(tmp_path):
    assert export(made(TwoOutputs), torch.randn(2, 4), tmp_path / "m.pt2").difference <= 1e-6


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("shop.py").write_text(MODULE)
    yield
    sys.modules.pop("shop", None)


@pytest.mark.parametrize("reference", ["shop:factory", "shop:network", "shop.py:factory"])
def test_a_reference_names_a_network_or_what_makes_one(reference, module):
    assert export_from_reference(reference, "m.pt2", input_shape=(4,)).parameters == 37


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("shop", "package.module:name"),
        ("nowhere:factory", "No module named 'nowhere'"),
        ("shop:nothing", "nothing"),
        ("shop:number", "cannot be loaded"),
        ("absent.py:factory", "cannot be loaded"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(reference, said, module):
    with pytest.raises(ExportRefused, match=said):
        export_from_reference(reference, "m.pt2", input_shape=(4,))


def test_the_command_writes_a_file_and_says_what_it_found(module, capsys):
    assert main(["shop:factory", "m.pt2", "--input-shape", "4"]) == 0
    assert "largest difference from the model" in capsys.readouterr().out
    assert Path("m.pt2").stat().st_size > 0


def test_the_command_ends_with_1_when_refused_and_2_when_misused(module, capsys):
    assert main(["shop:Branching", "m.pt2", "--input-shape", "4"]) == 1
    assert "not exported" in capsys.readouterr().err
    assert main(["shop:factory", "m.pt2", "--input-shape", "four"]) == 2
    assert main(["shop:factory", "m.pt2"]) == 2
    assert main(["--help"]) == 0


@pytest.mark.slow
def test_the_file_runs_alone_without_anything_of_ours(module, tmp_path):
    alone = tmp_path / "alone.py"
    alone.write_bytes(Path(exporter.__file__).read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", str(alone), "shop.py:factory", "m.pt2", "--input-shape", "4"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.pt2").exists()


def test_it_imports_nothing_but_torch_and_the_standard_library():
    source = Path(exporter.__file__).read_text().splitlines()
    names = {line.split()[1].split(".")[0] for line in source if line.startswith(("import ", "from "))}
    assert names - set(sys.stdlib_module_names) == {"torch"}


class Reader(nn.Module):
    """Ids (N, 5) and numbers (N, 4) to (N, 3)."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(7, 4), nn.Linear(4, 3)

    def forward(self, ids, x):
        return self.head(self.words(ids).mean(1) + x)


def test_several_inputs_and_ids_are_exported_with_an_open_batch(tmp_path):
    ids, x = torch.tensor([[0, 1, 2, 3, 4], [6, 5, 4, 3, 2]]), torch.rand(2, 4)
    network = Reader()
    report = export(network, (ids, x), tmp_path / "m.pt2")
    assert report.batch is None
    assert report.dtype == "float32"
    loaded = torch.export.load(tmp_path / "m.pt2").module()
    assert torch.equal(loaded(ids[:1].repeat(3, 1), x[:1].repeat(3, 1))[0], network.eval()(ids, x)[0])


def test_one_tensor_for_two_inputs_stays_two_inputs(tmp_path):
    class Difference(nn.Module):
        def forward(self, x, y):
            return x - 2 * y

    x = torch.rand(2, 4)
    export(Difference(), (x, x), tmp_path / "m.pt2")
    loaded = torch.export.load(tmp_path / "m.pt2").module()
    assert torch.equal(loaded(x, x + 1), x - 2 * (x + 1))


def test_inputs_of_different_batches_are_refused(tmp_path):
    with pytest.raises(ExportRefused, match="first axes of the inputs are 2, 3"):
        export(Reader(), (torch.zeros(2, 5, dtype=torch.int64), torch.rand(3, 4)), tmp_path / "m.pt2")
