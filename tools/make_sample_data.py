"""Make the sample data: ``python tools/make_sample_data.py`` writes the files in sample_data/, always the same ones.

The micrograph is rendered, not cut and pasted: faceted spheres rest on a rough substrate and on each other, a height
field decides what is seen, and the grey value follows the yield of secondary electrons (1 / cos of the tilt, so edges
are bright), a detector at one side, shadowing in crevices, the beam's blur and shot noise. It shares no code with the
project's generators, so training on those is not tested with their own images.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon2mask
from skimage.io import imsave
from skimage.measure import approximate_polygon, find_contours

SHAPE = (768, 1024)
PIXEL_SIZE_NM = 2.5
PARTICLES = 80
ANNOTATED = 8
MEDIAN_DIAMETER, SIZE_SPREAD, SMALLEST, LARGEST = 60.0, 0.18, 42.0, 92.0
LEAST_VISIBLE = 0.68

Field = NDArray[np.float64]


@dataclass(frozen=True)
class Particle:
    """One particle: where it is and its height field above its own centre (NaN outside)."""

    row: float
    column: float
    radius: float
    height: Field

    def window(self) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Slices of the image that it covers, and of its own field that lie in the image."""
        size = self.height.shape[0]
        start = np.round([self.row, self.column]).astype(int) - size // 2
        low, high = np.maximum(start, 0), np.minimum(start + size, SHAPE)
        whole = slice(low[0], high[0]), slice(low[1], high[1])
        own = slice(low[0] - start[0], high[0] - start[0]), slice(low[1] - start[1], high[1] - start[1])
        return whole, own


def faceted_sphere(radius: float, rng: np.random.Generator) -> Field:
    """Height field (NaN outside) of a sphere, a little elongated, flattened by random planes."""
    half = int(np.ceil(radius * 1.15))
    v, u = np.mgrid[-half : half + 1, -half : half + 1] / radius
    turn, aspect = rng.uniform(0, np.pi), rng.uniform(1.0, 1.12)
    u, v = (
        (np.cos(turn) * u - np.sin(turn) * v) * np.sqrt(aspect),
        (np.sin(turn) * u + np.cos(turn) * v) / np.sqrt(aspect),
    )
    ball = 1 - u**2 - v**2
    top, bottom = np.sqrt(np.maximum(ball, 0)), -np.sqrt(np.maximum(ball, 0))
    inside = ball > 0
    for normal in rng.normal(size=(rng.integers(8, 16), 3)):
        nx, ny, nz = normal / np.linalg.norm(normal)
        plane = (rng.uniform(0.86, 0.99) - nx * u - ny * v) / np.copysign(max(abs(nz), 0.02), nz)
        top, bottom = (np.minimum(top, plane), bottom) if nz > 0 else (top, np.maximum(bottom, plane))
    inside &= top > bottom
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    rounded: Field = ndimage.gaussian_filter(top[tuple(nearest)], 0.04 * radius)
    return np.where(inside, rounded * radius, np.nan)


def arrange(rng: np.random.Generator) -> tuple[list[Particle], Field, NDArray[np.int32]]:
    """Drop particles one by one, on the substrate or leaning on others; heights and labels of what is seen."""
    particles: list[Particle] = []
    height = np.zeros(SHAPE)
    labels = np.zeros(SHAPE, dtype=np.int32)
    whole_areas: dict[int, int] = {}
    while len(particles) < PARTICLES:
        diameter = np.clip(MEDIAN_DIAMETER * np.exp(SIZE_SPREAD * rng.normal()), SMALLEST, LARGEST)
        radius = diameter / 2
        if particles and rng.random() < 0.62:
            partner = particles[rng.integers(len(particles))]
            angle, distance = rng.uniform(0, 2 * np.pi), (partner.radius + radius) * rng.uniform(0.78, 1.0)
            row, column = partner.row + distance * np.sin(angle), partner.column + distance * np.cos(angle)
        else:
            row, column = rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1])
        # none smaller than a third at the border: nobody would count those
        if not (-0.3 * radius < row < SHAPE[0] + 0.3 * radius and -0.3 * radius < column < SHAPE[1] + 0.3 * radius):
            continue
        particle = Particle(row, column, radius, faceted_sphere(radius, rng))
        image_window, own_window = particle.window()
        own = particle.height[own_window]
        under = height[image_window][~np.isnan(own)]
        raised = own + 0.85 * radius + 0.9 * (under.max() if under.size else 0.0)
        seen = np.nan_to_num(raised, nan=-1.0) > height[image_window]
        trial = labels.copy()
        trial[image_window][seen] = len(particles) + 1
        areas = {**whole_areas, len(particles) + 1: int(np.count_nonzero(~np.isnan(own)))}
        visible = np.bincount(trial.ravel(), minlength=len(areas) + 1)
        if any(visible[index] < LEAST_VISIBLE * area for index, area in areas.items()):
            continue
        touched = [index for index in np.unique(labels[image_window][seen]) if index]
        if any(ndimage.label(trial[particles[index - 1].window()[0]] == index)[1] != 1 for index in touched):
            continue
        particles.append(particle)
        whole_areas, labels = areas, trial
        height[image_window][seen] = raised[seen]
    return particles, height, labels


def noise(scale: float, rng: np.random.Generator) -> Field:
    """Smooth random field with unit standard deviation; `scale` is its correlation length in pixels."""
    field: Field = ndimage.gaussian_filter(rng.normal(size=SHAPE), scale, mode="wrap")
    return field / float(field.std())


def expose(particles: list[Particle], height: Field, labels: NDArray[np.int32], rng: np.random.Generator) -> Field:
    """Grey values 0 to 1 that a secondary-electron detector at the upper left would record, without noise."""
    substrate = 0.20 + 0.016 * noise(1.5, rng) + 0.014 * noise(6, rng) + 0.022 * noise(40, rng)
    pits = noise(3.0, rng) > 2.6
    image = substrate - 0.05 * ndimage.gaussian_filter(pits.astype(float), 1.2)
    grain = 0.45 * noise(1.6, rng) + 0.6 * noise(4, rng)
    for index, particle in enumerate(particles, start=1):
        image_window, own_window = particle.window()
        seen = labels[image_window] == index
        filled = particle.height
        nearest = ndimage.distance_transform_edt(np.isnan(filled), return_distances=False, return_indices=True)
        slope_row, slope_column = np.gradient(filled[tuple(nearest)])
        rough = grain[image_window] * 0.05
        slope_row, slope_column = slope_row[own_window], slope_column[own_window]
        tilt = np.sqrt(1 + slope_row**2 + slope_column**2)
        yield_ = np.minimum(tilt, 3.2) ** 0.62
        side = -(0.55 * slope_row + 0.45 * slope_column) / tilt
        grey = rng.uniform(0.33, 0.41) * yield_ * (1 - 0.22 * side) + rough
        image[image_window][seen] = grey[seen]
    crevice = np.zeros(SHAPE)
    for scale, weight in ((4, 0.5), (12, 0.35), (28, 0.25)):
        crevice += weight * np.maximum(ndimage.gaussian_filter(height, scale) - height, 0) / (1.6 * scale)
    exposed: Field = image * np.exp(-0.62 * np.minimum(crevice, 1.4))
    return exposed


def record(image: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur of the beam, uneven brightness, shot noise, jitter between scan lines, eight bits."""
    rows, columns = np.mgrid[0:1:768j, 0:1:1024j]
    uneven = 0.94 + 0.16 * columns - 0.07 * rows
    signal = ndimage.gaussian_filter(image, 0.9) * uneven * (1 + 0.012 * rng.normal(size=(SHAPE[0], 1)))
    electrons = 220.0
    noisy = rng.poisson(np.maximum(signal, 0) * electrons) / electrons + 0.012 * rng.normal(size=SHAPE)
    grey: NDArray[np.uint8] = np.clip(np.round(255 * noisy), 0, 255).astype(np.uint8)
    return grey


def outline_some(labels: NDArray[np.int32], particles: list[Particle]) -> NDArray[np.uint8]:
    """Outline the particles a user would: complete ones, small to large, alone and touching, with straight strokes."""
    rim = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    complete = {}
    for index, particle in enumerate(particles, start=1):
        seen = np.count_nonzero(labels == index)
        if index not in rim and seen > 0.98 * np.count_nonzero(~np.isnan(particle.height)):
            complete[index] = seen
    by_size = sorted(complete, key=complete.__getitem__)
    wanted = np.linspace(1, len(by_size) - 2, ANNOTATED).round().astype(int)
    strokes = np.zeros(SHAPE, dtype=np.uint8)
    for new, old in enumerate((by_size[place] for place in wanted), start=1):
        ring = max(find_contours(np.pad(labels == old, 1).astype(float), 0.5), key=len) - 1
        strokes[polygon2mask(SHAPE, approximate_polygon(ring, tolerance=1.0)) & (strokes == 0)] = new
    return strokes


def clean_background(labels: NDArray[np.int32], patches: int = 5) -> NDArray[np.bool_]:
    """Mark rectangles of clean background as a user would: the largest free ones, clear of any particle."""
    free = ndimage.distance_transform_edt(labels == 0) > 8
    marked = np.zeros(SHAPE, dtype=bool)
    for _ in range(patches):
        row, column, height, width = largest_rectangle(free & ~marked)
        marked[row : row + height, column : column + width] = True
    return marked


def largest_rectangle(free: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Row, column, height and width of the largest free rectangle (largest area under a histogram, row by row)."""
    best, depth = (0, 0, 0, 0), np.zeros(free.shape[1] + 1, dtype=int)
    for row, line in enumerate(free):
        depth[:-1] = np.where(line, depth[:-1] + 1, 0)
        stack: list[tuple[int, int]] = []
        for column, height in enumerate(depth.tolist()):
            start = column
            while stack and stack[-1][1] >= height:
                start, tall = stack.pop()
                if tall * (column - start) > best[2] * best[3]:
                    best = (row - tall + 1, start, tall, column - start)
            stack.append((start, height))
    return best


def main() -> None:
    """Write everything into the folder of the package."""
    home = Path(__file__).parents[1] / "src" / "napari_nanoseg" / "sample_data"
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=home, help="folder to write to")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    arrangement, light, beam = (np.random.default_rng(each) for each in np.random.SeedSequence(options.seed).spawn(3))
    particles, height, labels = arrange(arrangement)
    micrograph = record(expose(particles, height, labels, light), beam)
    outlined = outline_some(labels, particles)
    known = clean_background(labels) | (outlined > 0)

    annotated = options.out / "annotated"
    for folder in ("images", "masks", "known"):
        (annotated / folder).mkdir(parents=True, exist_ok=True)
    for path, plane in (
        (options.out / "particles.tif", micrograph),
        (options.out / "particles_truth.tif", labels.astype(np.uint8)),
        (annotated / "images" / "particles.tif", micrograph),
        (annotated / "masks" / "particles.tif", outlined),
    ):
        tifffile.imwrite(
            path, plane, imagej=True, compression="zlib", predictor=plane is micrograph,
            resolution=(1 / PIXEL_SIZE_NM, 1 / PIXEL_SIZE_NM), metadata={"axes": "YX", "unit": "nm"},
        )  # fmt: skip
    imsave(annotated / "known" / "particles.png", known.astype(np.uint8) * 255, check_contrast=False)


if __name__ == "__main__":
    main()
