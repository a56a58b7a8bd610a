from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from napari_nanoseg.generators.appearance import blur
from napari_nanoseg.generators.kernels import membrane, uniform


@pytest.mark.parametrize("length", [1.0, 3.0, 8.0])
def test_poisson_blending_solves_the_screened_equation(length):
    """Against a direct solution of the sparse linear system."""
    rng = np.random.default_rng(0)
    size = 40
    rows, columns = np.mgrid[:size, :size]
    distance = (13 - np.hypot(rows - 19.5, columns - 19.5)).astype(np.float32)
    canvas = np.clip(0.3 + rows / 200 + rng.normal(0, 0.01, (size, size)), 0, 1).astype(np.float32)
    texture = rng.uniform(0.6, 0.9, (size, size)).astype(np.float32)
    blended = texture.copy()
    membrane(canvas, blended, distance, 0, 0, length)

    inside = np.argwhere(distance > -0.5)
    number = {tuple(pixel): k for k, pixel in enumerate(inside)}
    matrix, right = lil_matrix((len(inside), len(inside))), np.zeros(len(inside))
    for k, (i, j) in enumerate(inside):
        matrix[k, k] = 4 + 1 / length**2
        for pixel in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            if pixel in number:
                matrix[k, number[pixel]] = -1
            else:
                right[k] += canvas[pixel] - texture[pixel]
    expected = spsolve(matrix.tocsr(), right)
    correction = (blended - texture)[distance > -0.5]
    assert np.abs(correction - expected).max() < 0.06 * np.abs(expected).max()
    assert np.array_equal(blended[distance <= -0.5], texture[distance <= -0.5])


@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.0])
def test_blur_is_gaussian(sigma):
    from scipy.ndimage import gaussian_filter

    canvas = np.random.default_rng(0).random((37, 51)).astype(np.float32)
    expected = gaussian_filter(canvas, sigma, mode="mirror", truncate=np.ceil(3 * sigma) / sigma)
    assert np.abs(blur(canvas, sigma) - expected).max() < 1e-4


def test_uniform_numbers_are_uniform():
    state = np.array([123456789], np.uint64)
    values = np.array([uniform(state) for _ in range(5000)])
    assert values.min() >= 0
    assert values.max() < 1
    assert np.histogram(values, 10, (0, 1))[0].min() > 420
