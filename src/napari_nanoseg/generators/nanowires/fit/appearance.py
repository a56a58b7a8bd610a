"""The appearance of one or more real images, as narrower ranges of a config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from napari_nanoseg.config.nanowires import GREY_LOOKS, NanowireConfig
from napari_nanoseg.events import Notice, Progress, Stage, tell
from napari_nanoseg.generators.nanowires.fit.knobs import knobs_of
from napari_nanoseg.generators.nanowires.fit.search import Found, Search, Simulator, Values, differences, step_of
from napari_nanoseg.generators.nanowires.fit.statistics import Statistics, spectrum_error, wasserstein
from napari_nanoseg.generators.nanowires.fit.targets import Target
from napari_nanoseg.generators.nanowires.fit.tone import tone_curve

ROUNDS, TONE_ROUNDS = 6, 1
"""Of the search, before and after a tone curve is put in."""
MARGIN = 0.03
"""By how much the ranges are wider than what was found in the images."""
UNSEEN, CHECKED = 100, 12
"""First index and number of the generated images that before and after are judged by; the search sees others."""
NEAR = 0.02
"""Distance of histograms, as a fraction of their range, below which no tone curve is tried: it changes the noise."""
SPOILT = 0.05
"""A tone curve may make the error of the noise power larger by this."""
WORTH = 0.9
"""A tone curve stays when it makes the distance of the histograms smaller than this fraction of what it was."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The fitted config, and statistics of the real images and of generated ones before and after."""

    config: NanowireConfig
    target: Statistics
    before: Statistics
    after: Statistics


def fit_appearance(targets: Sequence[Target], config: NanowireConfig, numbers: bool) -> Fitted:
    """Narrow the ranges of a config until its images have the statistics of the targets; see :class:`Fitted`.

    Every target gives values of its own, and the ranges span them.

    Parameters
    ----------
    targets : sequence of Target
        At least one; of the config's dtype.
    config : NanowireConfig
        What to start from; what is not part of the appearance stays.
    numbers : bool
        Whether also the number of objects follows the images, by the area that is brighter or darker than background.
    """
    shapes = np.array([one.windows[0].shape for one in targets])
    simulator = Simulator(config, (int(shapes[:, 0].min()), int(shapes[:, 1].min())))
    target = simulator.measured([window for one in targets for window in one.windows])
    each = [simulator.measured(one.windows) for one in targets] if len(targets) > 1 else []
    search = Search(config, knobs_of(config, numbers), simulator)
    before = simulator.statistics(config, UNSEEN, CHECKED)
    toned = config.dtype != "float32" or config.look in GREY_LOOKS
    rounds = (ROUNDS, TONE_ROUNDS) if toned else (ROUNDS,)
    total = sum(rounds) * (len(search.knobs) + 1) + len(rounds) * len(each)
    tell(Stage("fit", f"Fitting {len(search.knobs)} parameters of {config.look} to {len(targets)} images."))
    fitted = _ranges(search, search.starts(), ROUNDS, target, each, (0, total))
    if toned and wasserstein(fitted.after, target) > NEAR * target.spread:
        curve = tone_curve(fitted.after, target)
        again = Search(config.model_copy(update={"tone": curve}), search.knobs, simulator)
        done = total - TONE_ROUNDS * (len(search.knobs) + 1) - len(each)
        with_tone = _ranges(again, [fitted.places], TONE_ROUNDS, target, each, (done, total))
        if _worth(with_tone.after, fitted.after, target):
            fitted = with_tone
    at_end = [knob.name for knob, place in zip(search.knobs, fitted.places, strict=True) if place in (0.0, 1.0)]
    if at_end:
        tell(Notice(f"At the end of what was searched: {', '.join(at_end)}. Look whether generated images are alike."))
    return Fitted(fitted.config, target, before, fitted.after)


class _Ranges(NamedTuple):
    """Common places of the knobs, the config with ranges about them, and statistics of images that were not tried."""

    places: Values
    config: NanowireConfig
    after: Statistics


def _ranges(
    search: Search,
    starts: Sequence[Values],
    rounds: int,
    target: Statistics,
    each: Sequence[Statistics],
    progress: tuple[int, int],
) -> _Ranges:
    """Search for the places that suit all targets together, and from there those that suit each of them."""
    done, total = progress
    found = search.run(target, starts, rounds, done, total)
    done += rounds * (len(search.knobs) + 1)
    places = [found.places]
    for number, one in enumerate(each, done + 1):
        places.append(_own(search, found, one))
        tell(Progress(number, total, "trials"))
    config = search.at(np.min(places, axis=0), np.max(places, axis=0), MARGIN)
    return _Ranges(found.places, config, search.simulator.statistics(config, UNSEEN, CHECKED))


def _worth(with_tone: Statistics, without: Statistics, target: Statistics) -> bool:
    """Whether a tone curve brings the histogram nearer and does not spoil the noise."""
    if spectrum_error(with_tone, target) > spectrum_error(without, target) + SPOILT:
        return False
    return wasserstein(with_tone, target) < WORTH * wasserstein(without, target)


def _own(search: Search, found: Found, target: Statistics) -> Values:
    """Where one target alone has its knobs: a step from the common place, if that is better for it."""
    step = step_of(found.slopes, differences(found.statistics, target), 0.3)
    for part in (1.0, 0.4):
        places = search.counted(np.clip(found.places + part * step, 0, 1), found.statistics, target)
        if Found(places, search.seen(places), found.slopes).loss(target) < found.loss(target):
            return places
    return found.places
