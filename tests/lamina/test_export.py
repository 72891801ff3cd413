"""Does a network become a `.pt2` that gives its outputs, and is what cannot be exported refused with a way out?"""

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from lamina import export as exporter
from lamina.export import UNANSWERED, ExportRefused, export, export_from_reference, facts, main
from service.contracts.facts import ModelFacts
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


@pytest.mark.slow
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


# --- the facts that no file says


def declared(answers: dict[str, str], shape=(4,), network=None, **options) -> dict[str, object]:
    example = options.pop("example", None)
    report = export(network or made(Mlp), torch.randn(2, *shape) if example is None else example, options.pop("path"))
    return facts(report, answers, **options)


ANSWERS = {
    "task": "classification", "kind": "table", "layout": "NF", "low": "0", "high": "1,2,3,4.5", "unit": "euro",
    "mean": "0.5", "std": "2", "output": "logits", "classes": "cat, dog,bird", "loss": "cross_entropy",
}  # fmt: skip


def test_facts_that_are_answered_are_valid(tmp_path):
    answers = {**ANSWERS, "low": "0,0,0,0"}
    found = ModelFacts.model_validate(declared(answers, path=tmp_path / "m.pt2"))
    assert found.input.shape == (4,)
    assert found.input.bounds.high == (1, 2, 3, 4.5)
    assert found.output.classes == ("cat", "dog", "bird")
    assert found.input.preprocessing.std == (2,)


def test_a_question_that_is_left_open_is_marked_and_refused_by_the_service(tmp_path):
    found = declared({}, path=tmp_path / "m.pt2")
    text = json.dumps(found)
    assert text.count(UNANSWERED) == 11
    assert "perhaps classification" in str(found["task"])
    assert "3 classes" in text
    with pytest.raises(ValidationError) as refused:
        ModelFacts.model_validate(found)
    assert "ANSWER" in str(refused.value)
    for option, answer in ANSWERS.items():
        left = json.dumps(declared({option: answer}, path=tmp_path / "m.pt2")).count(UNANSWERED)
        assert left == 10, option


def test_questions_are_asked_in_order_again_where_wrong_and_guesses_taken_by_enter(tmp_path, capsys):
    said = iter(
        ["clasification", "", "", "", "0", "zero", "1", "", "", "", "a,b", "a,b,c,d", "", "cat,dog", "cat,dog,bird", ""]
    )
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return next(said)

    found = ModelFacts.model_validate(declared({}, path=tmp_path / "m.pt2", ask=ask))
    assert found.task == "classification"
    assert found.input.kind == "table"
    assert found.input.bounds.high == (1,)
    assert found.input.feature_names == ("a", "b", "c", "d")
    assert found.output.classes == ("cat", "dog", "bird")
    assert "what is the model for?" in asked[0]
    assert "must be one of" in capsys.readouterr().out
    assert next(said, None) is None


def test_ids_are_declared_by_their_number(tmp_path):
    network = nn.Sequential(nn.Embedding(50, 4), nn.Flatten(), nn.Linear(12, 3))
    answers = {"task": "classification", "kind": "tokens", "layout": "NT", "output": "logits", "classes": "a,b,c",
               "loss": "cross_entropy"}  # fmt: skip
    found = declared(answers, network=network, example=torch.randint(0, 50, (2, 3)), path=tmp_path / "m.pt2", tokens=50)
    valid = ModelFacts.model_validate(found)
    assert (valid.input.bounds.low, valid.input.bounds.high, valid.input.unit) == ((0,), (49,), "token id")


def test_further_inputs_get_questions_of_their_own(tmp_path):
    class Pair(nn.Module):
        def forward(self, a, b):
            return a.sum(1, keepdim=True) + b.sum(1, keepdim=True)

    answers = {"task": "regression", "kind": "table", "layout": "NF", "low": "0", "high": "1", "unit": "m", "mean": "0",
               "std": "1", "output": "values", "loss": "mse"}  # fmt: skip
    answers |= {f"{key}-2": answers[key] for key in ("kind", "layout", "low", "high", "unit", "mean", "std")}
    example = (torch.randn(2, 3), torch.randn(2, 4))
    found = declared({**answers, "name-2": "other"}, network=Pair(), example=example, path=tmp_path / "m.pt2")
    valid = ModelFacts.model_validate(found)
    assert [(each.name, each.input.shape) for each in valid.further_inputs] == [("other", (4,))]


def test_features_are_named_or_left_out(tmp_path):
    width = declared(ANSWERS, path=tmp_path / "m.pt2")["input"]["shape"][0]
    names = [f"column {at}" for at in range(width)]
    named = declared({**ANSWERS, "low": "0,0,0,0", "features": ",".join(names)}, path=tmp_path / "m.pt2")
    assert ModelFacts.model_validate(named).input.feature_names == tuple(names)
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return ""

    silent = declared(ANSWERS, path=tmp_path / "m.pt2", ask=ask)
    assert "feature_names" not in silent["input"]
    assert any("features" in question for question in asked)


def test_an_answer_that_cannot_be_one_is_refused_with_its_option(tmp_path):
    with pytest.raises(ExportRefused, match="--loss hinge: must be one of"):
        declared({"loss": "hinge"}, path=tmp_path / "m.pt2")
    with pytest.raises(ExportRefused, match="2 names, and there are 3"):
        declared({"classes": "a,b"}, path=tmp_path / "m.pt2")


@pytest.mark.parametrize(
    ("last", "kind"), [(nn.Softmax(1), "probabilities"), (nn.Sigmoid(), "probabilities"), (nn.LogSoftmax(1), "values")]
)
def test_an_output_that_is_no_logit_is_noticed_and_guessed(last, kind, tmp_path):
    report = export(nn.Sequential(made(Mlp), last), torch.randn(2, 4), tmp_path / "m.pt2")
    assert f"declare {kind}" in report.notices[-1]
    assert f"perhaps {kind}" in str(facts(report, {})["output"])
    assert export(made(Mlp), torch.randn(2, 4), tmp_path / "m.pt2").ending == ""


def test_the_command_writes_facts_beside_the_file_and_keeps_those_that_are_there(module, capsys):
    options = [part for key, text in ANSWERS.items() if key not in ("low", "classes") for part in (f"--{key}", text)]
    Path("names.txt").write_text("yes\nno\n")
    command = ["shop:factory", "m.pt2", "--input-shape", "4", *options, "--low", "0,0,0,0", "--classes", "@names.txt"]
    assert main(command) == 0
    assert "wrote m.facts.json\n" in capsys.readouterr().out
    assert ModelFacts.model_validate_json(Path("m.facts.json").read_bytes()).output.classes == ("yes", "no")
    Path("m.facts.json").write_text("{}")
    assert main(["shop:factory", "m.pt2", "--input-shape", "4", "--no-questions"]) == 0
    assert "kept m.facts.json" in capsys.readouterr().out
    assert Path("m.facts.json").read_text() == "{}"
    assert main(["shop:factory", "other.pt2", "--input-shape", "4"]) == 0
    assert "facts begin with 'ANSWER: '" in capsys.readouterr().out


def test_the_command_takes_ids_and_several_inputs(module):
    Path("shop.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Both(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.table = nn.Embedding(9, 2)\n"
        "    def forward(self, ids, x):\n        return self.table(ids).sum(1) + x\n"
    )
    shapes = ["--input-shape", "5", "--input-shape", "2"]
    dtypes = ["--input-dtype", "int64", "--input-dtype", "float32"]
    assert main(["shop.py:Both", "m.pt2", *shapes, *dtypes, "--tokens", "9"]) == 0
    found = json.loads(Path("m.facts.json").read_text())
    assert found["input"]["bounds"] == {"low": [0], "high": [8]}
    assert found["further_inputs"][0]["input"]["shape"] == [2]
    assert main(["shop.py:Both", "m.pt2", *shapes, "--input-dtype", "int64"]) == 1
    assert main(["shop.py:Both", "m.pt2", *shapes, "--input-dtype", "text"]) == 2


ALONE = """
import sys

class Blocked:
    # everything but torch, what torch itself needs, and the standard library
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("lamina", "service", "workers", "pydantic", "typer", "rich", "captum"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
sys.argv = ["export.py", "shop.py:factory", "m.pt2", "--input-shape", "4", "--task", "classification"]
exec(compile(open("alone.py").read(), "alone.py", "exec"), {"__name__": "__main__"})
"""


@pytest.mark.slow
def test_the_file_runs_alone_without_anything_of_ours(module, tmp_path):
    (tmp_path / "alone.py").write_bytes(Path(exporter.__file__).read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", ALONE],
        cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.pt2").exists()
    assert json.loads((tmp_path / "m.facts.json").read_text())["task"] == "classification"


def test_it_imports_nothing_but_torch_and_the_standard_library():
    source = Path(exporter.__file__).read_text().splitlines()
    names = {line.split()[1].split(".")[0] for line in source if line.startswith(("import ", "from "))}
    assert names - set(sys.stdlib_module_names) == {"torch"}


def test_it_is_written_for_python_3_10():
    ast.parse(Path(exporter.__file__).read_text(), feature_version=(3, 10))
