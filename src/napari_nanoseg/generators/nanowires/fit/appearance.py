"""The appearance of one or more real images, as narrower ranges of a config."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from napari_nanoseg.config.nanowires import GREY_LOOKS, NanowireConfig
from napari_nanoseg.events import Event, Notice, Progress, Stage
from napari_nanoseg.generators.nanowires.fit.knobs import knobs_of
from napari_nanoseg.generators.nanowires.fit.search import DARK, Found, Search, Simulator, Values, differences, step_of
from napari_nanoseg.generators.nanowires.fit.statistics import Statistics, spectrum_error, statistics, wasserstein
from napari_nanoseg.generators.nanowires.fit.targets import Target
from napari_nanoseg.generators.nanowires.fit.tone import tone_curve

ROUNDS, TONE_ROUNDS = 6, 2
"""Of the search, before and after a tone curve is put in."""
MARGIN = 0.03
"""By how much the ranges are wider than what was found in the images."""
UNSEEN, CHECKED = 100, 12
"""First index and number of the generated images that before and after are judged by; the search sees others."""
WORTH = 0.9
"""A tone curve stays when it makes the distance of the histograms smaller than this fraction of what it was."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The fitted config, and statistics of the real images and of generated ones before and after."""

    config: NanowireConfig
    target: Statistics
    before: Statistics
    after: Statistics


def fitting(targets: Sequence[Target], config: NanowireConfig, numbers: bool) -> Generator[Event, None, Fitted]:
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

    Yields
    ------
    Event
        Stages and the progress in trials, of three images each.
    """
    bright = config.look not in DARK
    target = statistics([window for one in targets for window in one.windows], bright)
    simulator = Simulator(config, min(one.windows[0].shape for one in targets))
    search = Search(config, knobs_of(config, numbers), simulator)
    before = simulator.statistics(config, UNSEEN, CHECKED)
    trials = len(search.knobs) + 1
    total = (ROUNDS + (TONE_ROUNDS if _may_be_toned(config) else 0)) * trials + len(targets)
    yield Stage("fit", f"Fitting {len(search.knobs)} parameters of {config.look} to {len(targets)} images.")
    found = yield from search.run(target, search.start, ROUNDS, 0, total)
    if _may_be_toned(config):
        search, found = yield from _toned(search, found, target, ROUNDS * trials, total)
    places = [found.places]
    for number, one in enumerate(targets, total - len(targets) + 1):
        places.append(_own(search, found, one.measured(bright)))
        yield Progress(number, total, "trials")
    fitted = search.at(np.min(places, axis=0), np.max(places, axis=0), MARGIN)
    at_end = [knob.name for knob, place in zip(search.knobs, found.places, strict=True) if place in (0.0, 1.0)]
    if at_end:
        yield Notice(f"At the end of what was searched: {', '.join(at_end)}. Look whether generated images are alike.")
    return Fitted(fitted, target, before, simulator.statistics(fitted, UNSEEN, CHECKED))


def _may_be_toned(config: NanowireConfig) -> bool:
    return config.dtype != "float32" or config.look in GREY_LOOKS


def _toned(
    search: Search, found: Found, target: Statistics, done: int, total: int
) -> Generator[Progress, None, tuple[Search, Found]]:
    """Put a tone curve into the config and go on; the result without it where it is not worth it."""
    simulator = search.simulator
    without = simulator.statistics(search.at(found.places), UNSEEN, CHECKED)
    config = search.config.model_copy(update={"tone": tone_curve(without, target)})
    toned = Search(config, search.knobs, simulator)
    again = yield from toned.run(target, found.places, TONE_ROUNDS, done, total)
    with_it = simulator.statistics(toned.at(again.places), UNSEEN, CHECKED)
    worth = wasserstein(with_it, target) < WORTH * wasserstein(without, target)
    spoils = spectrum_error(with_it, target) > spectrum_error(without, target) + 0.05
    return (toned, again) if worth and not spoils else (search, found)


def _own(search: Search, found: Found, target: Statistics) -> Values:
    """Where one target alone has its knobs: a step from the common place, if that is better for it."""
    places = np.clip(found.places + step_of(found.slopes, differences(found.statistics, target), 0.3), 0, 1)
    nearer = Found(places, search.seen(places), found.slopes)
    return places if nearer.loss(target) < found.loss(target) else found.places
