"""Whether an annotation can be learned from: what is wrong with it, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.instances import Instances
from napari_nanoseg.measurement.contrast import contrast_of, look_alikes
from napari_nanoseg.measurement.pieces import SMALLEST, Pieces, fragment_limit
from napari_nanoseg.measurement.shape import convex_area
from napari_nanoseg.measurement.star import star_share
from napari_nanoseg.samples import Sample

Severity = Literal["problem", "warning", "information"]
Kind = Literal[
    "file", "image", "none", "few", "fragment", "pieces", "holes", "border", "sizes", "shape", "unmarked",
    "background", "classes",
]  # fmt: skip

ENOUGH = 5
MOST_OF_A_KIND = 5
"""Findings of one kind that are listed one by one."""
LARGEST_RATIO = 4.0
"""Of diameters: the receptive field of a network that works at one scale covers about this range."""
SOLID = 0.9
"""Particles that fill so much of their convex hull are star-convex for all purposes."""
STAR_SHARE = 0.9
MOST_STARS = 100
SPARSE = 0.05


@dataclass(frozen=True)
class Finding:
    """One thing about an annotation.

    Parameters
    ----------
    severity : {"problem", "warning", "information"}
        A problem spoils a training; a warning may; information helps to understand a result.
    sentence : str
        What, where, and what to do.
    label : int, optional
        The particle it is about.
    position : tuple of float, optional
        (row, column) of the place.
    kind : str
        What it is about, for programs.
    """

    severity: Severity
    sentence: str
    label: int | None = None
    position: tuple[float, float] | None = None
    kind: Kind = "image"

    @property
    def mendable(self) -> bool:
        """Whether :func:`mended` does away with it."""
        return self.kind in ("pieces", "fragment")


class _Look(NamedTuple):
    """A finding about a particle before its label and place are known."""

    kind: Kind
    severity: Severity
    sentence: str
    place: NDArray[np.int64]


def check_annotation(sample: Sample) -> list[Finding]:
    """Look for what spoils a training, worst first.

    Parameters
    ----------
    sample : Sample
        One annotated micrograph.

    Returns
    -------
    list of Finding
        Empty when nothing stands out. Of findings about single particles, five of a kind and the number of the rest.
    """
    found = list(_about_the_image(sample))
    instances = sample.instances
    if not len(instances):
        found.append(Finding("problem", "No particle is outlined; outline at least five, better ten.", kind="none"))
    else:
        sound = not found
        found += _about_particles(instances)
        found += _about_all(sample)
        found += _about_the_rest(sample, instances.to_labels(), sound)
    order = ("problem", "warning", "information")
    return sorted(found, key=lambda finding: order.index(finding.severity))


def describe(sample: Sample) -> str:
    """Sum up an annotation in one line: number, median diameter (and in nm), darker or brighter than around."""
    count = len(sample.instances)
    if not count:
        return "No particles yet"
    diameter, calibration = sample.instances.diameter(), sample.image.calibration
    sizes = calibration.pixel_size_nm
    square = sizes is not None and np.isclose(sizes[-1], sizes[-2], rtol=1e-3)
    length = f"{diameter:.3g} px" + (f" ({diameter * calibration.nm_per_pixel:.3g} nm)" if square else "")
    name = "median diameter" if count > 1 else "diameter"
    parts = [f"{count} particle{'s' * (count > 1)}", f"{name} {length}"]
    contrast = contrast_of(sample, sample.instances.to_labels())
    if contrast is not None:
        their = "their" if count > 1 else "its"
        parts.append(
            f"some brighter, some darker than {their} surroundings"
            if contrast.side == "mixed"
            else f"{contrast.side} than {their} surroundings"
        )
    return ", ".join(parts)


def _about_the_image(sample: Sample) -> Iterator[Finding]:
    data = np.asarray(sample.image.data)
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        bad = ~np.isfinite(data if data.ndim == 2 else data.sum(axis=-1))
        row, column = (int(n) for n in np.argwhere(bad)[0])
        count = int(np.count_nonzero(bad))
        yield Finding(
            "problem",
            f"The image has {count} pixel{'s' * (count > 1)} that {'are' if count > 1 else 'is'} NaN or infinite, the "
            f"first at row {row}, column {column}; replace them.",
            position=(row, column),
        )
    elif data.min() == data.max():
        yield Finding(
            "problem", f"The image has the same value {data.flat[0]} everywhere; choose an image with content."
        )


def _about_particles(instances: Instances) -> Iterator[Finding]:
    """What is wrong with single particles."""
    found = [Pieces(mask) for mask in instances.masks]
    largest = np.array([pieces.areas.max() for pieces in found])
    limit, median = fragment_limit(largest), float(np.median(largest))
    looks = (
        [_fragment(pieces, median) if pieces.areas.sum() < limit else None for pieces in found],
        [_parted(pieces) if len(pieces.areas) > 1 and pieces.areas.sum() >= limit else None for pieces in found],
        [_holed(pieces) if pieces.holes else None for pieces in found],
        _bent(
            instances, [len(pieces.areas) == 1 and area >= limit for pieces, area in zip(found, largest, strict=True)]
        ),
    )
    for kind in looks:
        particles = zip(instances.ids.tolist(), instances.boxes, kind, strict=True)
        yield from _shortened([_placed(look, label, box[:2]) for label, box, look in particles if look is not None])


def _fragment(pieces: Pieces, median: float) -> _Look:
    area = int(pieces.areas.sum())
    severity: Severity = "problem" if area < SMALLEST else "warning"
    sentence = (
        f"Label {{label}} at {{place}} has only {area} pixel{'s' * (area > 1)} (the median is {median:.0f}); remove "
        "it, or outline the whole particle."
    )
    return _Look("fragment", severity, sentence, pieces.position(1))


def _parted(pieces: Pieces) -> _Look:
    second = int(np.argsort(pieces.areas)[-2])
    sentence = (
        f"Label {{label}} is in {len(pieces.areas)} pieces, one of {pieces.areas[second]} px at {{place}}; give every "
        "particle a label of its own and erase what is left over."
    )
    return _Look("pieces", "problem", sentence, pieces.position(second + 1))


def _holed(pieces: Pieces) -> _Look:
    holes = "a hole" if pieces.holes == 1 else f"{pieces.holes} holes, the largest"
    sentence = f"Label {{label}} has {holes} at {{place}}; fill it, unless the particle is a ring."
    return _Look("holes", "warning", sentence, pieces.hole())


def _bent(instances: Instances, whole: Sequence[bool]) -> list[_Look | None]:
    """The particles, of those in one piece, that StarDist cannot draw."""
    looks: list[_Look | None] = [None] * len(instances)
    solidity = [_solidity(mask) if one_piece else 1.0 for mask, one_piece in zip(instances.masks, whole, strict=True)]
    for index in np.argsort(solidity)[:MOST_STARS]:
        if solidity[index] >= SOLID:
            break
        share, centre = star_share(instances.masks[index])
        if share < STAR_SHARE:
            sentence = (
                "Label {label} at {place} is bent or branched: StarDist, which sees outlines from one point inside, "
                f"can draw {100 * share:.0f} % of it."
            )
            looks[index] = _Look("shape", "information", sentence, centre)
    return looks


def _solidity(mask: NDArray[np.bool_]) -> float:
    """Share of the convex hull that a mask fills; coarse, as a large mask is looked at in steps."""
    step = max(1, min(mask.shape) // 16)
    coarse = mask[::step, ::step]
    coarse = coarse[coarse.any(axis=1)]
    return np.count_nonzero(coarse) / convex_area(coarse) if coarse.size else 0.0


def _about_all(sample: Sample) -> Iterator[Finding]:
    """What is wrong with the particles as a whole."""
    instances, count = sample.instances, len(sample.instances)
    if count < ENOUGH:
        yield Finding(
            "warning",
            f"Only {count} particle{'s are' if count > 1 else ' is'} outlined; a network knows few sizes, shapes and "
            f"greys from so few. Outline at least {ENOUGH}, of different looks.",
            kind="few",
        )
    border = instances.touches_border
    if border.all():
        yield Finding(
            "warning",
            "All outlined particles touch the border of the image, so that no whole size is known; outline some that "
            "lie inside.",
            int(instances.ids[0]), _centre(instances, 0), "border",
        )  # fmt: skip
        return
    areas = instances.areas
    usable = np.flatnonzero(~border & (areas >= fragment_limit(areas)))
    if len(usable) < 2:
        return
    ordered = usable[np.argsort(areas[usable])]
    cut = len(ordered) // 50  # 2 % at each end: single outliers among many particles do not count
    low, high = ordered[cut], ordered[len(ordered) - 1 - cut]
    small, large = (2 * float(areas[index] / np.pi) ** 0.5 for index in (low, high))
    if large > LARGEST_RATIO * small:
        yield Finding(
            "warning",
            f"Diameters go from {small:.3g} to {large:.3g} px, a factor of {large / small:.1f}; StarDist works at one "
            f"scale and does best up to a factor of {LARGEST_RATIO:.0f}. Train one model for the small and one for the "
            "large particles if some are missed.",
            int(instances.ids[low]), _centre(instances, int(low)), "sizes",
        )  # fmt: skip


def _about_the_rest(sample: Sample, labels: NDArray[np.int32], sound: bool) -> Iterator[Finding]:
    """What is wrong with the image outside the outlines; grey values are judged in a sound image only."""
    instances, known, outlined = sample.instances, sample.known, labels > 0
    if known is not None:
        free = np.count_nonzero(known & ~outlined)
        if free < np.median(instances.areas):
            yield Finding(
                "problem",
                f"The known region has {'no' if free == 0 else 'hardly any'} background; mark at least one place "
                "without particles, larger than a particle.",
                kind="background",
            )
        return
    advice = (
        "If other particles can be seen, choose that only some are outlined, and mark some background or a finished "
        "region: the rest would be taught as background."
    )
    covered = float(outlined.mean())
    contrast = contrast_of(sample, labels) if sound else None
    alike = look_alikes(sample, labels, contrast) if contrast is not None else 0.0
    if contrast is not None and alike > 1:
        yield Finding(
            "warning",
            f"Outside the outlines, an area {alike:.2g} times as large as the outlined one is as "
            f"{'bright' if contrast.side == 'brighter' else 'dark'} as the particles. {advice}",
            kind="unmarked",
        )
    elif covered < SPARSE and len(instances) < 4 * ENOUGH:
        yield Finding(
            "information", f"The outlines cover {100 * covered:.1f} % of the image. {advice}", kind="unmarked"
        )


def _placed(look: _Look, label: int, start: NDArray[np.int64]) -> Finding:
    row, column = (int(n) for n in look.place + start)
    sentence = look.sentence.format(label=label, place=f"row {row}, column {column}")
    return Finding(look.severity, sentence, label, (row, column), look.kind)


def _shortened(found: list[Finding]) -> list[Finding]:
    """Of many findings of one kind, the first and how many more there are."""
    more = len(found) - MOST_OF_A_KIND
    if more < 2:
        return found
    what = {
        "fragment": "are as small",
        "pieces": "are in pieces",
        "holes": "have holes",
        "shape": "are bent or branched",
    }[found[0].kind]
    first = found[:MOST_OF_A_KIND]
    return [*first, Finding(first[-1].severity, f"{more} more labels {what}.", kind=first[-1].kind)]


def _centre(instances: Instances, index: int) -> tuple[float, float]:
    row, column, row_stop, column_stop = instances.boxes[index].tolist()
    return (row + row_stop - 1) / 2, (column + column_stop - 1) / 2
