"""A scene: all objects of one image in their places."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires import forms
from napari_nanoseg.generators.nanowires.forms import Form
from napari_nanoseg.generators.nanowires.placing import Ground, Placed
from napari_nanoseg.generators.nanowires.solids import Solids, joined, none


@dataclass(frozen=True, eq=False)
class Scene:
    """Objects in a space of `config.height` x `config.width` x `config.depth` px.

    ``wanted`` is how many were drawn; fewer are there where no more fitted. ``solids`` are those of all objects,
    object n has ``starts[n]`` to ``starts[n + 1]``.
    """

    objects: tuple[Placed, ...]
    wanted: int

    @property
    def solids(self) -> Solids:
        """Of all objects, one after the other."""
        return joined([one.solids for one in self.objects]) if self.objects else none(0)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where the solids of each object begin, and where those of the last end."""
        return np.cumsum([0, *(len(one.solids.centres) for one in self.objects)])


def draw_scene(config: NanowireConfig, rng: np.random.Generator, most: bool = False) -> Scene:
    """Draw sizes and places of all objects; `most` takes the upper end of all ranges of numbers."""
    groups = _groups(config, rng, most)
    ground = Ground(config, rng)
    objects: list[Placed] = []
    layers = config.layers if config.deposition == "layered" else 1
    for layer in range(layers):
        if layer:
            ground.next_layer()
        for group in groups[layer::layers]:
            placed = _place(group, ground)
            for one in placed:
                objects.append(one)
                if one.form.kind == forms.WIRE and rng.random() < config.branched_fraction:
                    objects.extend(_branches(one, len(objects), ground))
    return Scene(tuple(objects), sum(len(group.members) for group in groups))


@dataclass(frozen=True, eq=False)
class _Group:
    """Objects that lie together; all but the first have offsets (along, across; px) and turns (rad) from the first."""

    members: tuple[Form, ...]
    offsets: tuple[tuple[float, float], ...] = ()
    turns: tuple[float, ...] = ()


def _groups(config: NanowireConfig, rng: np.random.Generator, most: bool) -> list[_Group]:
    def number(limits: tuple[int, int]) -> int:
        return limits[1] if most else int(rng.integers(limits[0], limits[1] + 1))

    groups: list[_Group] = []
    left = number(config.wires)
    bundles = config.bundled_fraction / (
        np.mean(config.bundle_size) * (1 - config.bundled_fraction) + config.bundled_fraction
    )
    while left > 0:
        wire = forms.draw_wire(config, rng)
        if left > 1 and rng.random() < bundles:
            count = min(left, int(rng.integers(config.bundle_size[0], config.bundle_size[1] + 1)))
            groups.append(_bundle(wire, count, config, rng))
            left -= count
        elif rng.random() < config.broken_fraction:
            groups.append(_broken(wire, config, rng))
            left -= 1
        else:
            groups.append(_Group((wire,)))
            left -= 1
    counts = {
        forms.ROD: config.rods,
        forms.SPHERE: config.spheres,
        forms.CUBE: config.cubes,
        forms.AGGLOMERATE: config.agglomerates,
    }
    for kind, limits in counts.items():
        groups += [_Group((forms.draw_particle(kind, config, rng),)) for _ in range(number(limits))]
    return [groups[n] for n in rng.permutation(len(groups))]


def _bundle(wire: Form, count: int, config: NanowireConfig, rng: np.random.Generator) -> _Group:
    """Wires side by side, a little shifted and turned against the first."""
    members, offsets, turns = [replace(wire, joints=None)], [], []
    reach = [wire.width / 2, -wire.width / 2]
    for n in range(1, count):
        other = replace(forms.draw_wire(config, rng), joints=None)
        side = 1 - 2 * (n % 2)
        offsets.append((rng.uniform(-0.5, 0.5) * wire.length, reach[n % 2] + side * other.width / 2))
        reach[n % 2] += side * other.width
        turns.append(math.radians(2.5) * rng.standard_normal())
        members.append(other)
    return _Group(tuple(members), tuple(offsets), tuple(turns))


def _broken(wire: Form, config: NanowireConfig, rng: np.random.Generator) -> _Group:
    first, second = forms.broken(wire, rng)
    gap = rng.uniform(*config.break_gap_nm) / config.pixel_size_nm
    turn = math.radians(6) * rng.standard_normal()
    along = first.length / 2 + gap + second.length / 2 * math.cos(turn)
    return _Group((first, second), ((along, second.length / 2 * math.sin(turn)),), (turn,))


def _place(group: _Group, ground: Ground) -> list[Placed]:
    first = ground.put(group.members[0])
    if first is None:
        return []
    placed = [first]
    for form, (along, across), turn in zip(group.members[1:], group.offsets, group.turns, strict=True):
        cosine, sine = math.cos(turn), math.sin(turn)
        length, width, up = first.frame
        frame = np.stack([cosine * length + sine * width, cosine * width - sine * length, up])
        other = ground.put_at(form, first.centre + along * length + across * width, frame)
        if other is not None:
            placed.append(other)
    return placed


def _branches(wire: Placed, parent: int, ground: Ground) -> list[Placed]:
    """Small wires that grow from the surface of a large one; the root of each reaches into it by a tenth at most."""
    config, rng = ground.config, ground.rng
    grown = []
    for _ in range(int(rng.integers(config.branches[0], config.branches[1] + 1))):
        form = forms.branch(wire.form, config, rng)
        length, width, up = wire.frame
        lying = config.deposition != "random"
        angle = rng.uniform(0, math.pi if lying else 2 * math.pi)
        lean = math.radians(20) * rng.standard_normal()
        out = math.cos(angle) * width + math.sin(angle) * up
        along = math.cos(lean) * out + math.sin(lean) * length
        across = np.cross(up if abs(along @ up) < 0.9 else width, along)
        across /= np.linalg.norm(across)
        surface = 0.9 / math.hypot(2 * math.cos(angle) / wire.form.width, 2 * math.sin(angle) / wire.form.thickness)
        root = wire.centre + _on_line(wire.form, rng.uniform(-0.45, 0.45)) @ wire.frame[:2] + surface * out
        frame = np.stack([along, across, np.cross(along, across)])
        grown.append(ground.attach(form, root + along * form.length / 2, frame, parent))
    return grown


def _on_line(form: Form, part: float) -> NDArray[np.float64]:
    """Point of a wire's line, -0.5 to 0.5 of its length from the middle: along and across (px)."""
    if form.joints is None:
        return np.array([part * form.length, 0.0])
    place = (part + 0.5) * (len(form.joints) - 1)
    return np.array([np.interp(place, np.arange(len(form.joints)), column) for column in form.joints.T])
