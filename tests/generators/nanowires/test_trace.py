"""Path lengths against a voxel ray-sum that knows solids by their definition, not by planes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_nanoseg.generators.nanowires.forms import AGGLOMERATE, CUBE, ROD, SPHERE, WIRE, Form, bent
from napari_nanoseg.generators.nanowires.placing import frame_of
from napari_nanoseg.generators.nanowires.solids import ELLIPSE, HEXAGON, RECTANGLE, Solids, joined
from napari_nanoseg.generators.nanowires.trace import trace

SIDE = 40
STEP = 0.04
"""Height (px) of a voxel."""
EDGE = 0.01
Inside = Callable[[NDArray[np.float64]], NDArray[np.bool_]]


def paths(solids: Solids, starts: list[int], rays: int = 1, **more: bool) -> tuple:
    options = {"visible": False, "normals": False} | more
    weights = np.ones(len(starts) - 1)
    return trace(solids, np.array(starts), SIDE, SIDE, rays, weights, options["visible"], options["normals"])


def length_through(form: Form, frame: NDArray[np.float64], centre: tuple[float, float, float]) -> NDArray[np.float64]:
    solids = form.solids(frame).moved(np.array(centre))
    return paths(solids, [0, len(solids.centres)])[0]


def ray_sum(inside: Inside, frame: NDArray[np.float64], centre: tuple[float, float, float]) -> NDArray[np.float64]:
    """Sum of voxels of one px x one px x STEP, of which the middle counts."""
    z = np.arange(-SIDE / 2, SIDE / 2, STEP) + STEP / 2
    found = np.zeros((SIDE, SIDE))
    for row in range(SIDE):
        x, y, height = np.meshgrid(np.arange(SIDE), [row], z, indexing="ij")
        local = np.stack([x - centre[0], y - centre[1], height], -1) @ frame.T
        found[row] = inside(local).sum(-1)[:, 0] * STEP
    return found


def is_inside(form: Form) -> Inside:
    """The definition of a straight wire in its own directions (length, width, thickness)."""
    slope = form.taper / (2 - form.taper)

    def inside(point: NDArray[np.float64]) -> NDArray[np.bool_]:
        w, u, v = np.moveaxis(point, -1, 0)
        scale = 1 - 2 * slope * w / form.length
        u, v = np.abs(u) / (form.width / 2), np.abs(v) / (form.thickness / 2)
        cross = {ELLIPSE: np.hypot(u, v), RECTANGLE: np.maximum(u, v), HEXAGON: np.maximum(v, u + v / 2)}
        return (np.abs(w) <= form.length / 2) & (cross[form.section] <= scale)

    return inside


angles = st.floats(-math.pi, math.pi)


@pytest.mark.parametrize("section", [RECTANGLE, HEXAGON, ELLIPSE], ids=["rectangle", "hexagon", "ellipse"])
@settings(max_examples=12, deadline=None)
@given(
    azimuth=angles, tilt=st.floats(-1.57, 1.57), roll=angles, taper=st.floats(0, 0.9), length=st.floats(1, 22),
    width=st.floats(0.5, 12), ratio=st.floats(0.1, 1), x=st.floats(12, 28), y=st.floats(12, 28),
)  # fmt: skip
def test_a_straight_wire_is_what_voxels_sum_up(section, azimuth, tilt, roll, taper, length, width, ratio, x, y) -> None:
    form = Form(WIRE, length, width, width * ratio, section, taper)
    frame, centre = frame_of(azimuth, tilt, roll), (x, y, 0.0)
    found = length_through(form, frame, centre)
    # between a slightly smaller and a slightly larger wire: a ray may go along a wall
    smaller, larger = (
        replace(form, length=length + by, width=width + by, thickness=width * ratio + by) for by in (-EDGE, EDGE)
    )
    assert (found > ray_sum(is_inside(smaller), frame, centre) - 2.5 * STEP).all()
    assert (found < ray_sum(is_inside(larger), frame, centre) + 2.5 * STEP).all()


@pytest.mark.parametrize("section", [RECTANGLE, HEXAGON, ELLIPSE])
@pytest.mark.parametrize("tilt", [0.0, math.pi / 2])
def test_walls_along_the_beam(section: int, tilt: float) -> None:
    form, centre = Form(WIRE, 14, 9, 6, section, 0.0), (20.3, 19.6, 0.0)
    frame = frame_of(0.0, tilt, 0.0)
    np.testing.assert_allclose(
        length_through(form, frame, centre), ray_sum(is_inside(form), frame, centre), atol=2.5 * STEP
    )


def test_along_the_axis_of_a_cone() -> None:
    form, centre, frame = Form(WIRE, 16, 12, 12, ELLIPSE, 0.9), (20.0, 20.0, 0.0), frame_of(0.3, math.pi / 2, 0.0)
    found = length_through(form, frame, centre)
    np.testing.assert_allclose(found, ray_sum(is_inside(form), frame, centre), atol=2.5 * STEP)
    assert found[20, 20] == pytest.approx(16)


def test_lengths_known_by_heart() -> None:
    flat = frame_of(0.0, 0.0, 0.0)
    cube = length_through(Form(CUBE, 8, 8, 8, RECTANGLE), flat, (20.0, 20.0, 0.0))
    assert cube[20, 20] == pytest.approx(8)
    assert np.count_nonzero(cube) == pytest.approx(64, abs=17)
    sphere = length_through(Form(SPHERE, 20, 20, 20), flat, (20.0, 20.0, 3.0))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    chord = 2 * np.sqrt(np.maximum(100 - (rows - 20) ** 2 - (columns - 20) ** 2, 0))
    np.testing.assert_allclose(sphere, chord, atol=1e-9)
    tilt = math.radians(35)
    tilted = length_through(Form(WIRE, 60, 6, 6, ELLIPSE), frame_of(0.0, tilt, 0.0), (20.0, 20.0, 0.0))
    assert tilted[20, 20] == pytest.approx(6 / math.cos(tilt))


@pytest.mark.parametrize("kind", [ROD, AGGLOMERATE])
def test_that_overlaps_inside_an_object_count_once(kind: int) -> None:
    rng = np.random.default_rng(3)
    centre, frame = (19.0, 21.0, 0.0), frame_of(0.7, 0.4, 0.2)
    if kind == ROD:
        form = Form(ROD, 24, 9, 9)

        def inside(p: NDArray[np.float64]) -> NDArray[np.bool_]:
            along = p[..., 0] - np.clip(p[..., 0], -7.5, 7.5)
            return along**2 + p[..., 1] ** 2 + p[..., 2] ** 2 <= 4.5**2

    else:
        parts = np.column_stack([rng.normal(0, 4, (12, 3)), rng.uniform(2, 4, 12) * rng.choice([-1, 1], 12)])
        form = Form(AGGLOMERATE, 20, 20, 20, parts=parts)

        def inside(p: NDArray[np.float64]) -> NDArray[np.bool_]:
            away = p[..., None, :] - parts[:, :3]
            ball = np.linalg.norm(away, axis=-1) <= parts[:, 3]
            return (ball | (np.abs(away).max(-1) <= -parts[:, 3])).any(-1)

    found = length_through(form, frame, centre)
    np.testing.assert_allclose(found, ray_sum(inside, frame, centre), atol=10 * STEP)  # STEP at either end of a piece


@pytest.mark.parametrize("seed", range(4))
def test_a_bent_wire_is_all_that_is_near_its_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    form = bent(Form(WIRE, 34, 5, 5, ELLIPSE), 40, rng)
    frame, centre = frame_of(rng.uniform(0, 6), 0.3, 0.0), (20.0, 20.0, 0.0)
    line = form.joints

    def inside(p: NDArray[np.float64]) -> NDArray[np.bool_]:
        nearest = np.full(p.shape[:-1], np.inf)
        before, after = line[1] - line[0], line[-1] - line[-2]
        for a, b in itertools.pairwise(line):
            part = np.clip(((p[..., :2] - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
            nearest = np.minimum(nearest, np.linalg.norm(p[..., :2] - a - part[..., None] * (b - a), axis=-1))
        between = ((p[..., :2] - line[0]) @ before >= 0) & ((p[..., :2] - line[-1]) @ after <= 0)
        return between & (np.hypot(nearest, p[..., 2]) <= 2.5)

    found, expected = length_through(form, frame, centre), ray_sum(inside, frame, centre)
    # corners are mitred where the definition is round: angle^2 / 8 of the half width at most
    assert np.abs(found - expected).max() < 0.25
    assert found.sum() == pytest.approx(expected.sum(), rel=2e-3)
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    assert steps.sum() == pytest.approx(34)


@pytest.mark.parametrize("seed", range(3))
def test_that_more_pieces_change_a_bent_wire_by_less_than_a_tenth_of_a_pixel(seed: int, monkeypatch) -> None:
    from napari_nanoseg.generators.nanowires import forms

    wire, frame, centre = Form(WIRE, 34, 4, 4, RECTANGLE), frame_of(0.4, 0.0, 0.0), (20.0, 20.0, 0.0)
    coarse = bent(wire, 60, np.random.default_rng(seed))
    monkeypatch.setattr(forms, "SAGITTA_PX", 0.0005)
    fine = bent(wire, 60, np.random.default_rng(seed))
    assert len(fine.joints) > 3 * len(coarse.joints)
    at = np.linspace(0, 1, 50)
    lines = [
        np.stack([np.interp(at, np.linspace(0, 1, len(f.joints)), column) for column in f.joints.T], 1)
        for f in (coarse, fine)
    ]
    moved = lines[0] - lines[1]
    assert np.abs(moved - moved.mean(0)).max() < 0.1
    difference = length_through(coarse, frame, centre).sum() / length_through(fine, frame, centre).sum()
    assert difference == pytest.approx(1, abs=0.01)


def test_that_a_chain_has_neither_gaps_nor_overlaps() -> None:
    form = bent(Form(WIRE, 30, 6, 3, RECTANGLE), 30, np.random.default_rng(1))
    solids = form.solids(frame_of(0.2, 0.0, 0.0)).moved(np.array([20.0, 20.0, 0.0]))
    whole = paths(solids, [0, len(solids.centres)], rays=4)[0]
    pieces = paths(solids, list(range(len(solids.centres) + 1)), rays=4)[0]
    np.testing.assert_allclose(whole, pieces, atol=1e-9)
    assert whole.max() == pytest.approx(3, abs=1e-9)


def test_overlaps_of_objects_add_and_the_upper_one_is_seen() -> None:
    flat, turned = frame_of(0.0, 0.0, 0.0), frame_of(math.pi / 2, 0.0, 0.0)
    wire = Form(WIRE, 30, 6, 4, RECTANGLE)
    lower, upper = (
        wire.solids(flat).moved(np.array([19.5, 19.5, 2])),
        wire.solids(turned).moved(np.array([19.5, 19.5, 6.5])),
    )
    total, tops, owners, facing, boxes, _corners, masks, hits, seen = paths(
        joined([lower, upper]), [0, 1, 2], rays=2, normals=True
    )
    assert total[20, 20] == pytest.approx(8)
    assert total[20, 10] == pytest.approx(4)
    assert total[5, 5] == 0
    assert (owners[40, 40], owners[40, 20], owners[2, 2]) == (2, 1, 0)
    assert tops[40, 40] == pytest.approx(8.5)
    np.testing.assert_allclose(facing[:, 40, 40], [0, 0, 1], atol=1e-6)
    assert hits[0] == hits[1] == seen[1]
    assert seen[0] == hits[0] - 12 * 12
    assert masks.sum() == 2 * 30 * 6
    assert boxes[0].tolist() == [17, 5, 23, 35]
    *_, visible, _, _ = paths(joined([lower, upper]), [0, 1, 2], rays=2, visible=True)
    assert visible.sum() == 2 * 30 * 6 - 36


def test_normals_of_a_ball() -> None:
    ball = Form(SPHERE, 20, 20, 20).solids(frame_of(0.0, 0.0, 0.0)).moved(np.array([20.0, 20.0, 5.0]))
    _, tops, _, facing, *_ = paths(ball, [0, 1], normals=True)
    row, column = 24, 17
    np.testing.assert_allclose(facing[:, row, column], [-0.3, 0.4, (tops[row, column] - 5) / 10], atol=1e-6)


def test_nothing_outside_the_image_is_touched() -> None:
    form = Form(WIRE, 30, 6, 4, HEXAGON)
    for x, y in [(-30.0, 20.0), (20.0, 90.0), (-0.5, -0.5), (39.4, 39.4)]:
        solids = form.solids(frame_of(0.5, 0.1, 0.0)).moved(np.array([x, y, 0.0]))
        total, *_, _boxes, _corners, masks, hits, seen = paths(solids, [0, 1])
        assert masks.sum() == np.count_nonzero(total > 0) == hits[0] == seen[0]
