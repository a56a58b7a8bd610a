"""Weights and config of Detectron2: reading and writing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.engines.maskrcnn.pickles import read_state
from napari_nanoseg.engines.networks import made
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.atomic import atomic_path
from napari_nanoseg.io.detectron2_config import read_config, write_config
from napari_nanoseg.io.detectron2_files import D2_CONFIG, D2_WEIGHTS, detectron2_files
from napari_nanoseg.reading import need_file

OLD = ("pixel_mean", "pixel_std", "proposal_generator.anchor_generator.cell_anchors", "anchor_generator.cell_anchors")
"""Beginnings of names in checkpoints of old versions of what the config says."""
COUNTER = "num_batches_tracked"
"""Of batch normalisations; nothing depends on it."""


def read_detectron2(path: Path) -> MaskRCNN:
    """Read a model of Detectron2.

    Parameters
    ----------
    path : Path
        Weights with a config beside them, or a folder with both.

    Returns
    -------
    MaskRCNN
        In evaluation mode on the CPU.

    Raises
    ------
    NanosegError
        When a file is missing, damaged, or of another network than Mask R-CNN with a feature pyramid.
    """
    weights, config = detectron2_files(path)
    settings = read_config(config)
    network = made(lambda: MaskRCNN(settings), need_file(weights), path)
    fill(network, read_state(weights), f"{weights} and {config.name}")
    return network.eval()


def fill(network: MaskRCNN, state: Mapping[str, Tensor], where: str) -> None:
    """Take weights over, all of them.

    Raises
    ------
    NanosegError
        When a tensor is missing, left over, not finite or has another shape: the first such, with both shapes.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    state = {name: tensor for name, tensor in state.items() if not name.startswith(OLD)}
    own = network.state_dict()
    for name, tensor in own.items():
        if name.endswith(COUNTER):
            state.setdefault(name, tensor)
        elif name not in state:
            raise NanosegError(
                f"{where} do not fit together: the weights lack {name}, which has the shape {tuple(tensor.shape)} by "
                "the config; choose the config that they were trained with."
            )
        elif state[name].shape != tensor.shape:
            raise NanosegError(
                f"{where} do not fit together: {name} has the shape {tuple(state[name].shape)}, but "
                f"{tuple(tensor.shape)} by the config; choose the config that they were trained with."
            )
        elif not state[name].isfinite().all():
            raise NanosegError(f"{where} cannot be used: {name} has values that are NaN or infinite; copy them again.")
    more = [name for name in state if name not in own and not name.endswith(COUNTER)]
    if more:
        raise NanosegError(
            f"{where} do not fit together: the config knows nothing of {more[0]}, which has the shape "
            f"{tuple(state[more[0]].shape)}; choose the config that they were trained with."
        )
    network.load_state_dict({name: state[name] for name in own})


def write_detectron2(state: Mapping[str, Tensor], config: MaskRCNNConfig, folder: Path) -> None:
    """Write ``model_final.pth`` and ``config.yaml``.

    Raises
    ------
    NanosegError
        When a file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with atomic_path(folder / D2_WEIGHTS) as temporary, temporary.open("wb") as file:
        torch.save({"model": tensors}, file)  # by its name, torch would not tell of a full disk
    write_config(config, folder / D2_CONFIG)
