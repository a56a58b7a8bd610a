"""Random changes of training patches that keep the truth true."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.train import FilledTrainConfig, TrainConfig

FloatImage = NDArray[np.float32]
UNKNOWN, OUTSIDE = -1, -2
"""Where the truth is not known: inside and beyond the image. In labels of a patch, all that is negative."""
BURNT_IN_FRACTION = 0.2  # of the patches carry letters and bars
MIRRORED_FRACTION = 0.3  # of the patches end at a border of the image


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


def burn_in(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Put a letter or two, or a bar, of white or black over a fifth of the patches; the truth below stays.

    Micrographs carry scale bars and panel letters. A network that never saw them missed the particles beneath: on the
    spheres of the one-image benchmark they were a third of all misses.
    """
    if rng.random() >= BURNT_IN_FRACTION:
        return image
    from PIL import Image as Picture
    from PIL import ImageDraw, ImageFont

    height, width = image.shape[:2]
    mask = Picture.new("L", (width, height))
    pen = ImageDraw.Draw(mask)
    for _ in range(int(rng.integers(1, 4))):
        at = (float(rng.uniform(-10, width - 5)), float(rng.uniform(-10, height - 5)))
        if rng.random() < 0.3:
            pen.rectangle((*at, at[0] + rng.uniform(15, 70), at[1] + rng.uniform(1.5, 6)), fill=255)
        else:
            letters = "".join(rng.choice(list("abcdefghiABCDEFGHI0123456789.nmµ±°()"), int(rng.integers(1, 6))))
            pen.text(at, letters, font=ImageFont.load_default(float(rng.uniform(7, 28))), fill=255)
    cover = np.asarray(mask, np.float32) / 255
    cover = cover if image.ndim == 2 else cover[..., None]
    grey = np.float32(rng.uniform(1, 1.4) if rng.random() < 0.75 else rng.uniform(-0.2, 0.1))
    return np.asarray(image * (1 - cover) + grey * cover, np.float32)


def mirror_border(
    image: FloatImage, labels: NDArray[Any], width: int, rng: np.random.Generator
) -> tuple[FloatImage, NDArray[Any]]:
    """Let some patches end before their edge and mirror them there, as images are when they are segmented.

    Particles end at the border, as they are annotated; in the mirrored rim of `width` pixels the truth is not known. In
    a small patch the rim is less than half of it.
    """
    width = min(width, (min(image.shape[:2]) - 1) // 2)
    if rng.random() >= MIRRORED_FRACTION:
        return image, labels
    image, labels = image.copy(), labels.copy()
    for axis in rng.permutation(2)[: int(rng.integers(1, 3))]:
        # Views with the chosen axis first: writing to them writes to the copies.
        pixels, truth = np.moveaxis(image, axis, 0), np.moveaxis(labels, axis, 0)
        if rng.random() < 0.5:
            pixels, truth = pixels[::-1], truth[::-1]
        pixels[:width] = pixels[width + 1 : 2 * width + 1][::-1]
        truth[:width] = UNKNOWN
    return image, labels


def _rotation(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def warped_patch(
    image: FloatImage,
    labels: NDArray[Any],
    centre: tuple[float, float],
    size: int,
    config: FilledTrainConfig,
    rng: np.random.Generator,
) -> tuple[FloatImage, NDArray[Any]]:
    """A square piece of an image at any rotation and at a random scale; outside the image the truth is not known.

    Parameters
    ----------
    image : float32 array, shape (H, W) or (H, W, C)
    labels : int array, shape (H, W) or (H, W, L)
        In layers where objects overlap.
    centre : tuple of float
        Row and column that become the middle of the patch.
    size : int
        Side of the patch.
    config : TrainConfig
        Range ``scale`` of the enlargement, most ``stretch`` (of half the patches) and most ``blur``.
    rng : numpy.random.Generator
    """
    from scipy.ndimage import affine_transform, gaussian_filter

    angle, scale = rng.uniform(0, 2 * np.pi), rng.uniform(*config.scale)
    matrix = _rotation(angle) / scale
    if config.stretch > 1 and rng.random() < 0.5:
        longer = config.stretch ** (rng.uniform(0, 1) / 2)
        matrix = matrix @ np.diag([1 / longer, longer]) @ _rotation(rng.uniform(0, 2 * np.pi))
    offset = np.array(centre) - matrix @ np.full(2, (size - 1) / 2)
    channels = [
        affine_transform(channel, matrix, offset, (size, size), order=1, mode="mirror")
        for channel in np.moveaxis(np.atleast_3d(image), -1, 0)
    ]
    patch = np.stack(channels, axis=-1) if image.ndim == 3 else channels[0]
    if config.blur > 0 and rng.random() < 0.3:
        sigma = rng.uniform(0, config.blur)
        patch = gaussian_filter(patch, (sigma, sigma, 0)[: patch.ndim])
    layers = [
        affine_transform(layer, matrix, offset, (size, size), order=0, mode="constant", cval=OUTSIDE)
        for layer in np.moveaxis(np.atleast_3d(labels), -1, 0)
    ]
    return patch, np.stack(layers, axis=-1) if labels.ndim == 3 else layers[0]
