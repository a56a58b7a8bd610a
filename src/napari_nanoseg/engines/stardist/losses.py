"""Losses of StarDist 2-D, as in stardist's ``models/base.py``."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_nanoseg.config.stardist import StarDistConfig

EPSILON = 1e-7  # Keras' backend epsilon


def stardist_losses(
    output: tuple[Tensor, Tensor, Tensor | None], target: tuple[Tensor, Tensor, Tensor, Tensor], config: StarDistConfig
) -> dict[str, Tensor]:
    """Object, distance and class loss and their weighted sum.

    Parameters
    ----------
    output : tuple of Tensor
        What the network returns.
    target : tuple of Tensor
        ``prob, dist, mask, classes`` as in :class:`~.targets.Targets`, each with a batch axis in front.
    config : StarDistConfig
        Kind of distance loss, background weight, loss weights.

    Returns
    -------
    dict
        ``prob``, ``dist`` (``class``) and ``loss``, the weighted sum.
    """
    logit, dist, class_logit = (None if part is None else part.float() for part in output)
    assert logit is not None
    assert dist is not None
    prob_true, dist_true, mask, class_true = target
    known = (prob_true >= 0).float()
    pixelwise = F.binary_cross_entropy_with_logits(logit, prob_true.clamp(min=0), reduction="none")
    prob_loss = (pixelwise * known).sum() / known.sum().clamp(min=1)
    error = (dist_true - dist).abs() if config.train_dist_loss == "mae" else (dist_true - dist).square()
    dist_loss = (mask * error).mean() / (mask.mean() + EPSILON)
    dist_loss = dist_loss + config.train_background_reg * ((1 - mask) * dist.abs()).mean()
    weights = config.loss_weights
    losses = {"prob": prob_loss, "dist": dist_loss}
    total = weights[0] * prob_loss + weights[1] * dist_loss
    if class_logit is not None:
        q = class_logit.softmax(dim=1)
        q = (q / (q + EPSILON).sum(dim=1, keepdim=True)).clamp(EPSILON, 1 - EPSILON)
        class_weights = torch.tensor(config.train_class_weights or (1.0,) * q.shape[1], device=q.device)
        terms = class_weights[None, :, None, None] * class_true.clamp(min=0) * q.log()
        losses["class"] = -terms.sum(dim=1).mean()
        total = total + weights[2] * losses["class"]
    losses["loss"] = total
    return losses
