"""Sizes, directions and places of objects."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires import forms
from napari_nanoseg.generators.nanowires.forms import BRANCH, CLASSES, WIRE, Form, bent, size
from napari_nanoseg.generators.nanowires.placing import draw_azimuth, draw_frame
from napari_nanoseg.generators.nanowires.rays import hit
from napari_nanoseg.generators.nanowires.scene import Scene, draw_scene
from napari_nanoseg.generators.nanowires.solids import ELLIPSE, RECTANGLE
from napari_nanoseg.generators.nanowires.trace import trace

SMALL = NanowireConfig(height=160, width=192, depth=300, length_nm=600, wires=(25, 25))


def scene_of(seed: int = 0, **changes: object) -> Scene:
    return draw_scene(NanowireConfig.parse(SMALL.model_dump() | changes), np.random.default_rng(seed))


@pytest.mark.parametrize("distribution", ["lognormal", "normal", "uniform"])
def test_sizes_have_the_mean_and_spread_asked_for(distribution: str) -> None:
    config, rng = SMALL.model_copy(update={"distribution": distribution}), np.random.default_rng(1)
    sizes = np.array([size(config, 50, 0.3, rng) for _ in range(20000)])
    assert sizes.mean() == pytest.approx(50, rel=0.02)
    assert sizes.std() == pytest.approx(15, rel=0.04)
    assert sizes.min() > 0


def test_an_aspect_ratio_replaces_the_length() -> None:
    config = SMALL.model_copy(update={"aspect_ratio": 8.0, "length_sd": 0.0, "width_sd": 0.0, "bent_fraction": 0.0})
    wire = forms.draw_wire(config, np.random.default_rng(0))
    assert wire.length / wire.width == pytest.approx(8)
    assert wire.width == pytest.approx(9)


def test_a_bent_wire_forgets_its_direction_over_its_persistence_length() -> None:
    rng, wire = np.random.default_rng(2), Form(WIRE, 100, 1, 1)
    ends = []
    for _ in range(1500):
        steps = np.diff(bent(wire, 400, rng).joints, axis=0)
        angles = np.arctan2(steps[:, 1], steps[:, 0])
        ends.append(angles[-1] - angles[0])
    # the modes that are drawn hold 95 % of the variance, length / persistence length, between the ends
    assert np.var(ends) == pytest.approx(0.95 * 100 / 400, rel=0.12)


def test_isotropic_directions_are_even_on_the_sphere() -> None:
    rng = np.random.default_rng(3)
    config = SMALL.model_copy(update={"orientation": "isotropic"})
    along = np.array([draw_frame(config, rng)[0] for _ in range(5000)])
    np.testing.assert_allclose((along**2).mean(0), [1 / 3] * 3, atol=0.02)
    np.testing.assert_allclose(along.mean(0), 0, atol=0.03)


@pytest.mark.parametrize("order", [0.0, 0.5, 0.9, 1.0])
def test_aligned_directions_have_the_order_parameter(order: float) -> None:
    rng = np.random.default_rng(4)
    config = SMALL.model_copy(update={"orientation": "aligned", "order_parameter": order, "direction": 30.0})
    angles = -np.array([draw_azimuth(config, rng) for _ in range(5000)]) - math.radians(30)
    assert np.cos(2 * angles).mean() == pytest.approx(order, abs=0.03)
    assert np.sin(2 * angles).mean() == pytest.approx(0, abs=0.03)


def test_directions_in_the_plane_tilt_as_asked() -> None:
    rng = np.random.default_rng(5)
    tilts = np.degrees([math.asin(draw_frame(SMALL, rng)[0, 2]) for _ in range(4000)])
    assert np.std(tilts) == pytest.approx(SMALL.tilt_sd, rel=0.05)


@pytest.mark.parametrize("section", [RECTANGLE, ELLIPSE, 6])
@pytest.mark.parametrize("taper", [0.0, 0.6])
def test_volumes_are_what_rays_sum_up(section: int, taper: float) -> None:
    form = Form(WIRE, 40, 12, 8, section, taper)
    solids = form.solids(np.eye(3)).moved(np.array([30.0, 30.0, 0.0]))
    total, *_ = trace(solids, np.array([0, 1]), 60, 60, 6, np.ones(1), False, False)
    assert total.sum() == pytest.approx(form.volume, rel=0.01)


def shared(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Way that two objects share on the ray through each (x, y), px."""
    solids, starts = scene.solids, scene.starts
    owner = np.repeat(np.arange(len(scene.objects)), np.diff(starts))
    corners = solids.centres[:, None] + solids.boxes
    low, high = corners.min(1), corners.max(1)
    worst = np.zeros(len(points))
    for number, (x, y) in enumerate(points):
        near = np.flatnonzero(((low[:, :2] < [x, y]) & (high[:, :2] > [x, y])).all(1))
        found = [(*hit(solids, p, x, y)[:2], owner[p]) for p in near]
        found = sorted(interval for interval in found if interval[1] > interval[0])
        for n, (_, leaves, one) in enumerate(found):
            for enters, end, other in found[n + 1 :]:
                if other != one:
                    worst[number] = max(worst[number], min(leaves, end) - enters)
    return worst


@pytest.mark.parametrize("deposition", ["settled", "layered"])
@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_goes_through_anything_where_objects_are_laid_down(deposition: str, seed: int) -> None:
    others = {"spheres": (3, 3), "cubes": (3, 3), "rods": (3, 3), "agglomerates": (1, 1), "bundled_fraction": 0.3}
    scene = scene_of(seed, deposition=deposition, broken_fraction=0.2, layers=6, **others)
    assert len(scene.objects) >= 25
    rng, sides = np.random.default_rng(seed), [SMALL.width, SMALL.height]
    centres, between = rng.integers(0, sides, (3000, 2)).astype(float), rng.uniform(0, np.subtract(sides, 1), (3000, 2))
    assert shared(scene, centres).max() < 1e-6
    assert shared(scene, between).mean() < 1e-3  # slivers narrower than a pixel
    assert shared(scene_of(seed), between).mean() > 5e-3
    lowest = min(one.solids.lowest_and_highest()[0, 2] for one in scene.objects)
    assert lowest > -0.5


def test_settled_wires_lean_on_others() -> None:
    scene = scene_of(2, deposition="settled", wires=(60, 60))
    tilts = np.degrees([math.asin(abs(one.direction[2])) for one in scene.objects])
    assert 1 < tilts.max() <= 35.1
    assert tilts.min() == 0
    assert max(one.solids.lowest_and_highest()[1, 2] for one in scene.objects) <= 300


def test_layers_lie_on_each_other() -> None:
    scene = scene_of(1, deposition="layered", layers=2, wires=(16, 16))
    bottoms = np.array([one.solids.lowest_and_highest()[0, 2] for one in scene.objects])
    assert len(np.unique(bottoms.round(6))) == 2


def test_bundles_and_breaks_and_branches() -> None:
    bundled = scene_of(3, bundled_fraction=1.0, tilt_sd=0.0)
    together = 0
    for one in bundled.objects:
        others = [
            other for other in bundled.objects if other is not one and abs(one.direction @ other.direction) > 0.99
        ]
        apart = [abs((other.centre - one.centre) @ one.frame[1]) for other in others]
        together += any(distance < 1.5 * one.form.width for distance in apart)
    assert together > 0.8 * len(bundled.objects)
    broken = scene_of(4, broken_fraction=1.0)
    assert len(broken.objects) == 50
    assert all(one.form.broken for one in broken.objects)
    branched = scene_of(5, branched_fraction=1.0, wires=(4, 4))
    small = [one for one in branched.objects if one.form.kind == BRANCH]
    assert 4 * 5 <= len(small) <= 4 * 15
    for one in small:
        mother = branched.objects[one.parent - 1]
        assert mother.form.kind == WIRE
        root = one.centre - one.direction * one.form.length / 2 - mother.centre
        assert math.hypot(root @ mother.frame[1], root @ mother.frame[2]) < 0.8 * mother.form.width


def test_without_cuts_all_objects_lie_inside() -> None:
    scene = scene_of(6, border=False, spheres=(2, 2), length_nm=400)
    for one in scene.objects:
        low, high = one.solids.lowest_and_highest()[:, :2]
        assert (low >= -0.5).all()
        assert (high <= [SMALL.width - 0.5, SMALL.height - 0.5]).all()


def test_all_classes_are_drawn() -> None:
    every = dict.fromkeys(("wires", "rods", "spheres", "cubes", "agglomerates"), (2, 2))
    scene = scene_of(7, branched_fraction=1.0, **every)
    assert {one.form.kind for one in scene.objects} == set(range(len(CLASSES)))
