"""Which families are there? The list, in the order of the table."""

from lamina.zoo import decisions, generative, images, sequences, tables
from lamina.zoo.family import Family, facts, image, series, table, tokens

_SERIES = series(6, sequences.CHANNELS)
_IDS = tokens(sequences.LENGTH, sequences.VOCABULARY)
_MASK = {**tokens(sequences.LENGTH, 2), "unit": "read"}
_ROW = table(6)
_VIDEO = {**image(4, 1, 8, 8), "kind": "video", "layout": "NTCHW"}

FAMILIES: dict[str, Family] = {
    each.name: each
    for each in (
        Family(name="mlp", title="dense, in-place activation, dropout", make=tables.Mlp,
               facts=facts("classification", _ROW)),
        Family(name="cnn", title="convolutions, pooling, dropout", make=images.Cnn,
               facts=facts("classification", image(1, 8, 8))),
        Family(name="resnet", title="residual blocks, one activation run twice in place", make=images.ResNet,
               facts=facts("classification", image(3, 8, 8))),
        Family(name="mobilenet", title="depthwise convolutions, squeeze and excitation", make=images.MobileNet,
               facts=facts("classification", image(3, 8, 8))),
        Family(name="unet", title="segmentation with skip connections", make=images.UNet,
               facts=facts("segmentation", image(1, 8, 8)), target="element:1,4,4"),
        Family(name="lstm", title="two layers, both directions", make=sequences.Lstm,
               facts=facts("classification", _SERIES)),
        Family(name="gru", title="read through its last state", make=sequences.Gru,
               facts=facts("classification", _SERIES)),
        Family(name="cell_loop", title="a recurrent cell in a Python loop", make=sequences.CellLoop,
               facts=facts("classification", _SERIES)),
        Family(name="video", title="convolution per frame, recurrence over frames", make=images.Video,
               facts=facts("classification", _VIDEO)),
        Family(name="transformer", title="torch's transformer encoder", make=sequences.Encoder,
               facts=facts("classification", _SERIES)),
        Family(name="vit", title="patches, a class token, an encoder", make=images.Vit,
               facts=facts("classification", image(1, 8, 8))),
        Family(name="bert", title="ids and a mask, attention, a pooler", make=sequences.Bert,
               facts=facts("classification", _IDS, further={"mask": _MASK})),
        Family(name="gpt", title="causal attention, tied weights, next token", make=sequences.Gpt,
               facts=facts("next_token", _IDS), target="element:5,3"),
        Family(name="t5", title="summariser: encoder, decoder, cross-attention", make=sequences.Summariser,
               facts=facts("seq2seq", _IDS, further={"summary": tokens(4, sequences.VOCABULARY)}),
               target="element:3,3"),
        Family(name="autoencoder", title="reconstruction through a bottleneck", make=generative.Autoencoder,
               facts=facts("reconstruction", _ROW, kind="values", unit="feature"), target="element:0"),
        Family(name="generator", title="GAN generator, transposed convolutions", make=generative.Generator,
               facts=facts("generation", _ROW, kind="values", unit="grey level"), target="element:0,4,4"),
        Family(name="discriminator", title="GAN discriminator, spectral and instance norm",
               make=generative.Discriminator, facts=facts("score", image(1, 8, 8))),
        Family(name="capsules", title="capsules with three rounds of routing", make=images.Capsules,
               facts=facts("classification", image(1, 8, 8), kind="values", unit="length")),
        Family(name="policy", title="policy and value by name, two inputs", make=decisions.PolicyValue,
               facts=facts("policy", _ROW, further={"memory": table(4)})),
        Family(name="noisy", title="exploration by noisy weights (NoisyNet)", make=decisions.NoisyNet,
               facts=facts("policy", _ROW, kind="values", unit="return")),
        Family(name="exit_masked", title="early exit chosen row by row", make=decisions.MaskedExit,
               facts=facts("classification", _ROW)),
        Family(name="exit_cond", title="early exit by torch.cond, one row at a time", make=decisions.ConditionalExit,
               facts=facts("classification", _ROW), batch=1),
        Family(name="exit_if", title="early exit by a Python if", make=decisions.PythonExit,
               facts=facts("classification", _ROW), no_export="decides in Python on values it computes"),
        Family(name="ensemble", title="the mean of three members", make=tables.Ensemble,
               facts=facts("classification", _ROW)),
        Family(name="siamese", title="one encoder for two images", make=images.Siamese,
               facts=facts("score", image(1, 8, 8), further={"right": image(1, 8, 8)})),
        Family(name="experts", title="mixture of experts, all run", make=tables.DenseExperts,
               facts=facts("classification", _ROW)),
        Family(name="experts_sparse", title="mixture of experts, rows sent to one each", make=tables.SparseExperts,
               facts=facts("classification", _ROW)),
        Family(name="regression", title="one number", make=tables.Regression,
               facts=facts("regression", _ROW, kind="values", unit="price")),
        Family(name="tuned", title="frozen backbone, tuned head", make=tables.Tuned,
               facts=facts("classification", _ROW)),
        Family(name="int8", title="eight-bit weights, read back in the graph", make=tables.Quantised,
               facts=facts("classification", _ROW)),
    )
}  # fmt: skip
