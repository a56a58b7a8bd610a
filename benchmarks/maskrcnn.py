"""Mask R-CNN beside torchvision's own ``maskrcnn_resnet50_fpn``: a forward pass and a training step on the same input.

Both have the same random weights, see the same image without resizing and the same true boxes and masks; numbers of
proposals, of those drawn and of samples per bin of ROIAlign are set alike. They take turns, so that other work on the
machine hits both. Prints the shortest times, and ratios: below 1, ours is faster. Run with ``--side 320 --turns 7``.
"""

from __future__ import annotations

import argparse
import json
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.coco_weights import renamed
from napari_nanoseg.engines.maskrcnn.losses import maskrcnn_losses
from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.engines.maskrcnn.patches import packed
from napari_nanoseg.engines.maskrcnn.pixels import to_network
from napari_nanoseg.engines.maskrcnn.predict import find_candidates
from napari_nanoseg.engines.maskrcnn.targets import truths_of

OBJECTS, DEVICE = 30, torch.device("cuda" if torch.cuda.is_available() else "cpu")
CONFIG = MaskRCNNConfig(
    backbone="resnet50", n_classes=1, freeze_at=2, roi_batch_per_image=512, score_threshold=0.05,
    rpn_pre_nms_topk_train=2000, rpn_post_nms_topk_train=2000, rpn_pre_nms_topk_test=1000,
    rpn_post_nms_topk_test=1000, detections_per_image=100,
)  # fmt: skip
"""As torchvision's defaults, which differ from Detectron2's in the proposals of a training."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--side", type=int, default=320, help="of the image, px")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one turn on a small image: only that it runs")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    side, turns = (128, 1) if options.quick else (options.side, options.turns)
    torch.manual_seed(0)
    # what maskrcnn_resnet50_fpn makes when it has weights: frozen normalisation, stem and first stage not trained
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3
    )
    theirs = TorchvisionMaskRCNN(backbone, num_classes=2, min_size=side, max_size=side).to(DEVICE)
    ours = MaskRCNN(CONFIG).to(DEVICE)
    ours.load_state_dict(renamed(theirs.state_dict()))
    if DEVICE.type == "cpu":
        ours = ours.to(memory_format=torch.channels_last)
    for stage in ("stem", "res2"):
        ours.backbone.bottom_up.get_submodule(stage).requires_grad_(False)
    pixels, masks = scene(side)
    figures = {}
    for name, one, other in (
        ("forward", *forward(ours, theirs, pixels)),
        ("training step", *step(ours, theirs, pixels, masks)),
    ):
        times = np.array([[timed(one), timed(other)] for _ in range(turns + 1)])[min(1, turns - 1) :].min(axis=0)
        figures[name] = {"ours_s": times[0], "torchvision_s": times[1], "ratio": times[0] / times[1]}
        print(
            f"{name:14} {times[0]:6.2f} s, torchvision {times[1]:6.2f} s, ratio {times[0] / times[1]:.2f}", flush=True
        )
    if options.json:
        print(json.dumps(figures))


def scene(side: int) -> tuple[np.ndarray, Tensor]:
    """Rods on noise, 0 to 255, and their masks."""
    rng = np.random.default_rng(0)
    masks = torch.zeros((OBJECTS, side, side), dtype=torch.bool)
    pixels = rng.normal(60, 10, (side, side, 3))
    for mask in masks:
        row, column, high, wide = *rng.integers(0, side - 70, 2), *rng.integers(8, 64, 2)
        mask[row : row + high, column : column + wide] = True
        pixels[mask.numpy()] += 60
    return np.clip(pixels, 0, 255).astype(np.float32), masks


def forward(ours: MaskRCNN, theirs: torch.nn.Module, pixels: np.ndarray) -> tuple[Any, Any]:
    """From pixels to boxes, scores and masks of all objects."""
    image = torch.from_numpy(pixels.transpose(2, 0, 1) / 255).to(DEVICE)

    def one() -> None:
        ours.eval()
        find_candidates(ours, pixels, DEVICE, floor=CONFIG.score_threshold, overlap=0.5, most=100)

    @torch.inference_mode()
    def other() -> None:
        theirs.eval()
        theirs([image])

    return one, other


def step(ours: MaskRCNN, theirs: torch.nn.Module, pixels: np.ndarray, masks: Tensor) -> tuple[Any, Any]:
    """Losses, gradients and new weights of a batch of two."""
    item = to_network(pixels, CONFIG), masks, torch.zeros(len(masks), dtype=torch.long), torch.ones(masks.shape[1:]) > 0
    image, *targets = (part.to(DEVICE) for part in packed([item, item]))
    image = image.contiguous(memory_format=torch.channels_last)
    plain = torch.from_numpy(pixels.transpose(2, 0, 1) / 255).to(DEVICE)
    boxes = truths_of(*targets)[0].boxes
    truth = {"boxes": boxes, "labels": torch.ones(len(masks), dtype=torch.long, device=DEVICE),
             "masks": masks.to(DEVICE, torch.uint8)}  # fmt: skip
    optimizers = [
        torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 1e-5) for network in (ours, theirs)
    ]

    def one() -> None:
        ours.train()
        descend(maskrcnn_losses(ours, image, truths_of(*targets))["loss"], optimizers[0])

    def other() -> None:
        theirs.train()
        losses = theirs([plain, plain], [dict(truth), dict(truth)])
        descend(torch.stack(list(losses.values())).sum(), optimizers[1])

    return one, other


def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One step down."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def timed(work: Any) -> float:
    """Seconds that it takes."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    began = perf_counter()
    work()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - began


if __name__ == "__main__":
    main()
