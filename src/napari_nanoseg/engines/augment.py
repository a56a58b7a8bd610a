"""Random changes of training patches that keep the truth true."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.train import TrainConfig

FloatImage = NDArray[np.float32]
UNKNOWN = -1


def turn(image: FloatImage, labels: NDArray[Any], rng: np.random.Generator) -> tuple[FloatImage, NDArray[Any]]:
    """One of the eight flips and quarter turns, the same for image and labels."""
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    image, labels = np.rot90(image, turns), np.rot90(labels, turns)
    if flip:
        image, labels = image[:, ::-1], labels[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(labels)


def change_intensity(image: FloatImage, config: TrainConfig, rng: np.random.Generator) -> FloatImage:
    """Gain, offset, gamma, noise and inversion of a normalised image (0 dark, 1 bright).

    Parameters
    ----------
    image : float32 array, shape (H, W) or (H, W, C)
    config : TrainConfig
        ``intensity`` scales gain (up to a factor 1 +- 0.5), offset (up to +- 0.3) and gamma (0.6 to 1.6), on half of
        the patches; ``noise`` and ``invert`` as described there.
    rng : numpy.random.Generator
    """
    if rng.random() < 0.5:
        strength = config.intensity
        image = np.sign(image) * np.abs(image) ** np.float32(np.exp(strength * rng.uniform(-0.5, 0.5)))
        image = image * np.float32(1 + strength * rng.uniform(-0.5, 0.5))
        image = image + np.float32(strength * rng.uniform(-0.3, 0.3))
    if config.noise > 0 and rng.random() < 0.5:
        image = image + rng.uniform(0, config.noise) * rng.standard_normal(image.shape, np.float32)
    if rng.random() < config.invert:
        image = 1 - image
    return np.asarray(image, np.float32)


def warped_patch(
    image: FloatImage,
    labels: NDArray[Any],
    centre: tuple[float, float],
    size: int,
    config: TrainConfig,
    rng: np.random.Generator,
) -> tuple[FloatImage, NDArray[Any]]:
    """A square piece of an image at any rotation and at a random scale; outside the image the truth is not known.

    Parameters
    ----------
    image : float32 array, shape (H, W) or (H, W, C)
    labels : int array, shape (H, W)
    centre : tuple of float
        Row and column that become the middle of the patch.
    size : int
        Side of the patch.
    config : TrainConfig
        Range ``scale`` of the enlargement and most ``blur``.
    rng : numpy.random.Generator
    """
    from scipy.ndimage import affine_transform, gaussian_filter

    angle, scale = rng.uniform(0, 2 * np.pi), rng.uniform(*config.scale)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    offset = np.array(centre) - matrix @ np.full(2, (size - 1) / 2)
    channels = [
        affine_transform(channel, matrix, offset, (size, size), order=1, mode="mirror")
        for channel in np.moveaxis(np.atleast_3d(image), -1, 0)
    ]
    patch = np.stack(channels, axis=-1) if image.ndim == 3 else channels[0]
    if config.blur > 0 and rng.random() < 0.3:
        sigma = rng.uniform(0, config.blur)
        patch = gaussian_filter(patch, (sigma, sigma, 0)[: patch.ndim])
    truth = affine_transform(labels, matrix, offset, (size, size), order=0, mode="constant", cval=UNKNOWN)
    return patch, truth
