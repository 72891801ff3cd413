"""What do we say of a file of another tool? What it is, why it is not taken, and the lines that make one that is."""

from dataclasses import dataclass

from workers.subject.refusal import Refusal

PT2 = (
    "    model.eval()\n"
    "    program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))\n"
    '    torch.export.save(program, "model.pt2")'
)
EXPORT = (
    f"Export it where the model's source is:\n{PT2}\n"
    "or run: lamina export your_package.module:model model.pt2 --input-shape 1,8,8"
)
_STATE = (
    "Load the weights into the network they belong to, on a machine of yours, and export that:\n"
    '    model = YourNetwork(); model.load_state_dict(torch.load("model.pth", weights_only=True))\n'
    f"{PT2}"
)
# Words for the file's owner, who alone may open it: nothing here opens any.
_WHOLE = (
    "Open it once more where its classes can be imported, on a machine of yours, and export it; opening it runs\n"
    "whatever is in it, so only a file that you made:\n"
    '    model = torch.load("model.pt", weights_only=False)\n'
    f"{PT2}"
)
_SKLEARN = (
    "From scikit-learn, where the model can still be opened:\n"
    '    made = skl2onnx.to_onnx(model, X[:1].astype(numpy.float32), options={"zipmap": False})\n'
    '    open("model.onnx", "wb").write(made.SerializeToString())\n'
    f"From PyTorch:\n{PT2}"
)
_BOOSTED = (
    "Tables are read from ONNX, as a black box; where the model can be opened:\n"
    "    from onnxmltools import convert_{0}; from onnxmltools.convert.common.data_types import FloatTensorType\n"
    '    made = convert_{0}(model, initial_types=[("input", FloatTensorType([None, features]))])\n'
    '    open("model.onnx", "wb").write(made.SerializeToString())'
)
_KERAS = (
    "With Keras 3, either as layers, on its torch backend:\n"
    '    os.environ["KERAS_BACKEND"] = "torch"; import keras\n'
    '    model = keras.saving.load_model("model.keras")\n'
    f"{PT2}\n"
    'or as a black box: model.export("model.onnx", format="onnx")'
)
_TENSORFLOW = (
    "Convert it to ONNX, which is read as a black box:\n"
    "    python -m tf2onnx.convert --saved-model folder --output model.onnx\n"
    "(--graphdef or --tflite in place of --saved-model), or send the PyTorch model it came from as a .pt2."
)
_HUGGING_FACE = (
    "Save it as a folder with safetensors, and send a zip of the folder:\n"
    "    model.save_pretrained(folder, safe_serialization=True)\n"
    "    tokenizer.save_pretrained(folder)\n"
    '    shutil.make_archive("model", "zip", folder)'
)
_SOURCE = f"Send the model that it was made from:\n{PT2}"
_UNPACK = "Unpack it and send the one .pt2 or .onnx file, or the zip of one Hugging Face folder, that is inside."
_DATA = "If it is data, register it as a dataset: lamina dataset add. A model is made like this:\n" + PT2
_RUNS = "opening one runs the code in it, so it is never opened"
_NO_NETWORK = "it holds numbers, but not what is computed with them"
_COMPILED = "it holds code for one machine or one runtime, which is never loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A kind of file that is not taken. what: fits after "the file is"; why: fits after a colon."""

    what: str
    why: str
    remedy: str

    def refusal(self) -> Refusal:
        """As intake answers."""
        return Refusal("not-a-model", f"the file is {self.what}: {self.why}", self.remedy)


def _of(what: str, why: str, remedy: str) -> Foreign:
    return Foreign(what=what, why=why, remedy=remedy)


EMPTY = _of("empty", "there is nothing in it to read", EXPORT)
UNKNOWN = _of(
    "not of a kind that is known here", "it is not a zip archive, nor ONNX, nor anything that can be named", EXPORT
)

FOREIGN: dict[str, Foreign] = {
    # Python
    "pickle": _of("a Python pickle (.pkl, .joblib, .pt or .pth)", _RUNS, _SKLEARN),
    "packed-pickle": _of("a compressed Python pickle, as joblib writes it", _RUNS, _SKLEARN),
    "lz4": _of("compressed by lz4, as joblib writes Python pickles", _RUNS, _SKLEARN),
    "old-torch": _of("a Python pickle of torch.save before torch 1.6", _RUNS, _STATE),
    "torch-state": _of("a Python pickle in a zip (torch.save), probably weights alone", _RUNS, _STATE),
    "torch-whole": _of("a Python pickle in a zip (torch.save of a whole network)", _RUNS, _WHOLE),
    "torchscript": _of(
        "a TorchScript archive", "its layers cannot be looked into, and its code can open files", EXPORT
    ),
    "torch-package": _of("a torch.package archive", "it holds Python code", EXPORT),
    "old-export": _of(
        "a torch.export archive of the layout of torch 2.7 and before",
        "its weights are Python pickles, which run code when they are opened",
        f"Export the model again with torch 2.9 or newer (2.13 is what the service runs):\n{PT2}",
    ),
    "aoti": _of("a compiled AOTInductor package, which holds native code", _COMPILED, _SOURCE),
    "executorch": _of("an ExecuTorch program (.pte)", _COMPILED, _SOURCE),
    "numpy": _of("a single NumPy array (.npy)", _NO_NETWORK, _DATA),
    "npz": _of("a NumPy archive (.npz)", _NO_NETWORK, _DATA),
    "skops": _of(
        "a skops file of a scikit-learn model", "tables are read from ONNX, as a black box, and from nothing else yet",
        _SKLEARN,
    ),
    "python": _of("Python source", "nobody's code is run here", EXPORT),
    "notebook": _of("a Jupyter notebook", "nobody's code is run here", EXPORT),
    # weights and folders
    "safetensors": _of(
        "a safetensors file, weights without a network", _NO_NETWORK,
        "Load the weights into the network they belong to and export that:\n"
        '    model = YourNetwork(); model.load_state_dict(safetensors.torch.load_file("model.safetensors"))\n'
        f"{PT2}\nor send a zip of the whole Hugging Face folder, config.json included.",
    ),
    "pickled-folder": _of("a Hugging Face folder whose weights are a Python pickle (.bin)", _RUNS, _HUGGING_FACE),
    "adapter": _of(
        "an adapter (PEFT)", "it changes a model that is not in the file",
        f"Merge it first: model = model.merge_and_unload(). {_HUGGING_FACE}",
    ),
    "diffusers": _of(
        "a pipeline of several models (diffusers)", "one model is read per file",
        f"Export the one that is to be audited:\n{PT2}",
    ),
    "gguf": _of("a GGUF or GGML file (llama.cpp)", "its weights are quantised for another runtime", _HUGGING_FACE),
    "hf-config": _of("the configuration of a Hugging Face model alone", "the weights are missing", _HUGGING_FACE),
    "tokenizer": _of("a SentencePiece tokenizer", "there is no network in it", _HUGGING_FACE),
    # other frameworks
    "hdf5": _of("an HDF5 file (Keras .h5)", "Keras layers can hold Python code, and HDF5 is not read", _KERAS),
    "keras": _of("a Keras model (.keras)", "Keras layers can hold Python code, and Keras is not run here", _KERAS),
    "keras-json": _of(
        "the architecture of a Keras model", "Keras is not run here, and the weights are missing", _KERAS
    ),
    "saved-model": _of("a TensorFlow SavedModel", "TensorFlow is not run here", _TENSORFLOW),
    "graph-def": _of("a TensorFlow graph (.pb)", "TensorFlow is not run here", _TENSORFLOW),
    "tflite": _of("a TensorFlow Lite model", "TensorFlow is not run here", _TENSORFLOW),
    "core-ml": _of("a Core ML model", "Core ML is not run here", _SOURCE),
    "ort": _of(
        "an ONNX model compiled for one version of onnxruntime (.ort)", _COMPILED,
        "Send the .onnx file that it was made from.",
    ),
    "openvino": _of(
        "an OpenVINO network", "OpenVINO is not run here", "Send the .onnx or PyTorch model that it was made from."
    ),
    "lightgbm": _of("a LightGBM model", "its reader trusts every number of the file", _BOOSTED.format("lightgbm")),
    "xgboost": _of("an XGBoost model", "XGBoost is not run here yet", _BOOSTED.format("xgboost")),
    "catboost": _of(
        "a CatBoost model", "CatBoost is not run here",
        'Save it as ONNX, which is read as a black box: model.save_model("model.onnx", format="onnx")',
    ),
    "pmml": _of("a PMML document", "PMML is not run here", _SKLEARN),
    "r": _of("an R data file (.rds or .RData)", "opening one can run code, and R is not run here", _SOURCE),
    "matlab": _of("a MATLAB file", "MATLAB is not run here", 'Save it as ONNX: exportONNXNetwork(net, "model.onnx")'),
    # what is no model
    "native": _of("a program or library for one kind of machine", _COMPILED, EXPORT),
    "lfs": _of(
        "a Git LFS pointer, three lines of text that stand for the real file",
        "the file itself has not been fetched", "Fetch it and send that: git lfs pull",
    ),
    "html": _of(
        "a web page", "perhaps an error or a log-in page that was saved in place of the file",
        "Open it in a browser to see what it says, download the file again, and compare its size.",
    ),
    "xml": _of("an XML document", "no model is read from XML", EXPORT),
    "json": _of("a JSON document", "no model is read from JSON alone", EXPORT),
    "csv": _of("a table of text (csv)", _NO_NETWORK, _DATA),
    "text": _of("a text", "no model is read from text", EXPORT),
    "parquet": _of("a Parquet file", _NO_NETWORK, _DATA),
    "arrow": _of("an Arrow or Feather file", _NO_NETWORK, _DATA),
    "sqlite": _of("an SQLite database", _NO_NETWORK, _DATA),
    "image": _of("a picture", _NO_NETWORK, _DATA),
    "pdf": _of("a PDF document", "there is no network in it", EXPORT),
    "office": _of("an office document", "there is no network in it", EXPORT),
    "tar": _of("a tar archive", "archives other than zip are not unpacked", _UNPACK),
    "7z": _of("a 7z archive", "archives other than zip are not unpacked", _UNPACK),
    "rar": _of("a RAR archive", "archives other than zip are not unpacked", _UNPACK),
    "compressed": _of("compressed (gzip, bzip2, xz, zlib or zstd)", "only zip archives are unpacked", _UNPACK),
    "zip-in-zip": _of("a zip archive around a model", "one model is read per file, as it was written", _UNPACK),
    "zip": _of(
        "a zip archive without models/<name>.json", "a .pt2 has that, a Hugging Face folder config.json", EXPORT
    ),
}  # fmt: skip
