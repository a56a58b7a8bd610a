"""Models of CDNet (Keras) as networks of this project."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from napari_nanoseg.documents import CONFIGS
from napari_nanoseg.engines.networks import made
from napari_nanoseg.engines.unet.network import UNet
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.cdnet_files import cdnet_config, cdnet_files
from napari_nanoseg.io.hdf5_files import opened_weights
from napari_nanoseg.io.keras_files import DAMAGED, keras_layers
from napari_nanoseg.reading import read_file


def read_cdnet(path: Path) -> UNet:
    """Read a model of CDNet of any width.

    Parameters
    ----------
    path : Path
        The HDF5 weights, ``u-net.json`` beside them, or their folder.

    Returns
    -------
    UNet
        In evaluation mode on the CPU.

    Raises
    ------
    NanosegError
        When a file is missing or damaged, or the model is of another network.
    """
    weights, described = cdnet_files(path)
    description = None if described is None else read_file(described, CONFIGS.size)
    try:
        with opened_weights(weights, weights) as file:
            config = cdnet_config(file, description, path)
            network = made(lambda: UNet(config), file.id.get_filesize(), path)
            layers = keras_layers(file)
            for (name, arrays), convolution in zip(layers, network.convolutions(), strict=True):
                assert convolution.bias is not None
                _assign(convolution.weight, arrays["kernel"], (3, 2, 0, 1), name, path)
                _assign(convolution.bias, arrays["bias"], (0,), name, path)
    except DAMAGED as error:
        raise NanosegError(
            f"{weights} is damaged or not the HDF5 weights of CDNet; copy the whole model again."
        ) from error
    return network.eval()


def _assign(target: Tensor, values: h5py.Dataset, order: tuple[int, ...], name: str, path: Path) -> None:
    """Copy weights in Keras' order of axes (rows, columns, inputs, outputs)."""
    wanted = tuple(target.shape[order.index(axis)] for axis in range(len(order)))
    if values.shape != wanted:
        raise NanosegError(
            f"{path}: the layer '{name}' has weights of shape {values.shape}, where CDNet's U-Net has {wanted}; it is "
            "another network."
        )
    array = np.asarray(values, np.float32)
    if not np.isfinite(array).all():
        raise NanosegError(f"{path}: the layer '{name}' has weights that are NaN or infinite; copy the model again.")
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(array.transpose(order))))
