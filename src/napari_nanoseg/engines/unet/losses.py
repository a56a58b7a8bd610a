"""What the training of a U-Net minimises; pixels without a label count in none of it."""

from __future__ import annotations

import torch
from monai.losses.cldice import SoftclDiceLoss
from monai.losses.dice import DiceLoss
from monai.losses.focal_loss import sigmoid_focal_loss, softmax_focal_loss
from torch import Tensor
from torch.nn import functional

from napari_nanoseg.config.unet import UNetConfig

FOCUS = 2.0  # exponent of the focal loss (Lin et al., ICCV 2017)
THINNINGS = 3  # of the soft skeleton, as in MONAI: half of a crack of 6 px; five took a fifth of the time of a step
SMALL = 1e-5  # keeps Dice losses finite where a batch has nothing of a class


def unet_losses(logits: Tensor, target: Tensor, config: UNetConfig) -> dict[str, Tensor]:
    """Losses of one batch.

    Parameters
    ----------
    logits : float tensor, shape (B, outputs, ...)
        Of the network; two or three axes follow the channels.
    target : integer tensor, shape (B, ...)
        0 is background, class `i` of the config is `i` + 1; negative where nothing is known.
    config : UNetConfig
        The weights of the losses.

    Returns
    -------
    dict of str to tensor
        ``loss``, the mixture that is minimised, and each of its parts by the name of its weight.
    """
    logits = logits.float()
    known = (target >= 0).unsqueeze(1)
    places = functional.one_hot(target.clamp(min=0).long(), len(config.classes) + 1).movedim(-1, 1).float() * known
    truth = places[:, 1:]
    binary = config.outputs == 1
    probabilities = (logits.sigmoid() if binary else logits.softmax(dim=1)[:, 1:]) * known
    count = known.sum().clamp(min=1)
    parts: dict[str, Tensor] = {}
    if config.bce:
        if binary:
            each = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        else:
            each = -(logits.log_softmax(dim=1) * places).sum(dim=1, keepdim=True)
        parts["bce"] = (each * known).sum() / count
    if config.dice:
        parts["dice"] = DiceLoss(batch=True, smooth_nr=SMALL, smooth_dr=SMALL)(probabilities, truth)
    if config.focal:
        if binary:
            each = sigmoid_focal_loss(logits, truth, FOCUS)
        else:
            each = softmax_focal_loss(logits, places, FOCUS).sum(dim=1, keepdim=True)
        parts["focal"] = (each * known).sum() / count
    if config.centreline:
        parts["centreline"] = SoftclDiceLoss(iter_=THINNINGS)(probabilities, truth)
    total = torch.stack([getattr(config, name) * value for name, value in parts.items()]).sum()
    return {"loss": total, **parts}
