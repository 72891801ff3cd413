"""Which questions can be asked? The list, in the order the documentation shows it."""

from workers.analyses import (
    attention_rollout,
    input_x_gradient,
    integrated_gradients,
    kernel_shap,
    layer_ablation,
    layer_activation,
    layer_conductance,
    layer_deeplift,
    layer_gradcam,
    layer_gradient_shap,
    layer_gradient_x_activation,
    layer_integrated_gradients,
    layer_internal_influence,
    logit_lens,
    neuron_conductance,
    occlusion,
    saliency,
    smoothgrad,
)
from workers.kind import Registry

KINDS = Registry(
    layer_activation.KIND,
    layer_gradient_x_activation.KIND,
    layer_gradcam.KIND,
    layer_conductance.KIND,
    layer_internal_influence.KIND,
    layer_integrated_gradients.KIND,
    layer_deeplift.KIND,
    layer_gradient_shap.KIND,
    layer_ablation.KIND,
    neuron_conductance.KIND,
    integrated_gradients.KIND,
    saliency.KIND,
    input_x_gradient.KIND,
    smoothgrad.KIND,
    occlusion.KIND,
    kernel_shap.KIND,
    attention_rollout.KIND,
    logit_lens.KIND,
)
