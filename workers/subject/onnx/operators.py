"""Which operators may an ONNX file use, and of which versions? Standard ones that compute, and nothing else.

A name that is missing here is refused, whether the standard knows it or not. Left out on purpose: operators that draw
random numbers (two passes would differ), training and its losses, images decoded from bytes, maps and optionals, and
the classical models whose native code indexes by numbers of the file that nobody checks (trees are checked in `trees`).
"""

from workers.subject.refusal import Refusal, quoted

OPSETS = {"": range(7, 29), "ai.onnx.ml": range(1, 6)}
"""What onnxruntime 1.32 runs; it promises nothing before 7 of the first."""

IR_VERSIONS = range(3, 15)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ALLOWED: dict[str, frozenset[str]] = {
    "": _words(
        """
        Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization
        BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad Clip
        Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh
        CumProd CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu
        Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
        GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow
        HardSigmoid HardSwish Hardmax Identity If InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization
        LeakyRelu Less LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul MatMulInteger Max MaxPool
        MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul Neg NonMaxSuppression
        NonZero Not OneHot Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Range
        Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
        ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round STFT Scan Scatter
        ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert
        SequenceLength Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split
        SplitToSequence Sqrt Squeeze Sub Sum Swish Tan Tanh TensorScatter ThresholdedRelu Tile TopK Transpose Trilu
        Unique Unsqueeze Upsample Where Xor
        """
    ),
    "ai.onnx.ml": _words(
        """
        ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LabelEncoder LinearClassifier LinearRegressor
        Normalizer OneHotEncoder Scaler TreeEnsembleClassifier TreeEnsembleRegressor
        """
    ),
}
_RANDOM = _words("Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike")


def domain_of(name: str) -> str:
    """The one spelling of a domain: ai.onnx is the default one."""
    return "" if name == "ai.onnx" else name


def check_operator(domain: str, name: str) -> None:
    """Returns if the operator may be used; else a Refusal that says why and what to do."""
    if name in ALLOWED.get(domain, ()):
        return
    if domain in OPSETS and name in _RANDOM:
        raise Refusal(
            "random-operator",
            f"the graph draws random numbers ({quoted(name)}), so two passes of one input give two answers",
            "Export the model in evaluation mode, without sampling.",
        )
    if name == "ZipMap":
        raise Refusal(
            "unknown-operator",
            "the classifier gives a list of dictionaries (ZipMap); an array of one row per example is needed",
            'Convert it again: convert_sklearn(model, ..., options={"zipmap": False})',
        )
    where = "the standard operators" if domain == "" else f"the operator set {quoted(domain)}"
    raise Refusal(
        "unknown-operator",
        f"operator {quoted(name)} of {where} is not among those that are run (see docs/intake/onnx.md)",
        "Export the model with standard operators, or, if it comes from PyTorch, send a .pt2: lamina export",
    )


def check_version(domain: str, version: int) -> None:
    """Returns if this version of an operator set is run."""
    known = OPSETS[domain]
    if version not in known:
        raise Refusal(
            "opset",
            f"the file uses version {version} of operator set {quoted(domain or 'ai.onnx')};"
            f" {known.start} to {known.stop - 1} are run",
            f"Convert it: onnx.version_converter.convert_version(model, {min(21, known.stop - 1)})",
        )
