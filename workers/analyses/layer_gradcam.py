"""Where, in the places of a layer's feature map, lies what speaks for the target?

    Grad-CAM at place p: Σ_c (mean_q ∂F/∂h_cq) h_cp

Selvaraju et al., arXiv:1610.02391, equations 1 and 2; HiResCAM, arXiv:2011.08891; LayerCAM, Jiang et al. 2021.
"""

from __future__ import annotations

from pydantic import Field

from workers.attribution.kind import attribution_kind
from workers.attribution.parameters import OfLayers
from workers.attribution.places import extent
from workers.attribution.spec import Attribution
from workers.subject.subject import Subject
from workers.sweep.methods.gradcam import GradCam, Mode
from workers.sweep.ready import Prepared


class GradCamParameters(OfLayers):
    """What to explain, and by which weights."""

    mode: Mode = Field(
        "gradcam",
        description="gradcam: gradients averaged over places; hirescam: place by place; layercam: place by place, the"
        " positive ones.",
    )


def _method(parameters: GradCamParameters, _ready: Prepared, subject: Subject) -> GradCam:
    return GradCam(mode=parameters.mode, extent=extent(subject))


KIND = attribution_kind(
    Attribution(
        name="layer_gradcam",
        version=1,
        title="Grad-CAM of every layer",
        question="At which places, tokens or time steps of each layer lies what speaks for or against the target?",
        source="Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2; Draelos and Carin 2020, arXiv:2011.08891,"
        " section 3.2; Jiang et al. 2021, LayerCAM",
        noun="class activation",
        places="layers",
        parameters=GradCamParameters,
        method=_method,
        multiplied=False,
        limits=(
            "A map is as coarse as its layer: one cell stands for all pixels that it sees.",
            "gradcam averages gradients over places, which is exact only where what follows averages over places too.",
            "Early layers have maps as well, but few networks hold there what decides.",
        ),
        formula="""
        With *h_cp* the value of channel *c* at place *p* of a layer, and *g* the gradient of the target there, the map
        is

        | mode | at place p | from |
        | --- | --- | --- |
        | `gradcam` | Σ_c (mean_q g_cq) h_cp | Selvaraju et al., equations 1 and 2 |
        | `hirescam` | Σ_c g_cp h_cp | Draelos and Carin, section 3.2 |
        | `layercam` | Σ_c max(g_cp, 0) h_cp | Jiang et al., equations 2 and 3 |

        A place is a pixel of a feature map, a token, or a time step. Which axis holds pixels must follow from the
        shapes; which holds tokens or steps is shown by running the model on a shorter sequence, or with one position
        changed at a time; else the layer is listed with the reason. The papers keep only what is positive of the
        finished map; here the sign is kept, for what speaks against the target is an answer too. A layer without places
        (a vector) has no map: ask for `layer_gradient_x_activation`.
        """,
        literature="""Selvaraju et al.: *Grad-CAM*, arXiv:1610.02391. Draelos and Carin: *HiResCAM*, arXiv:2011.08891.
        Jiang, Zhang, Hou, Cheng and Wei: *LayerCAM*, IEEE Transactions on Image Processing 30, 2021.""",
    )
)
