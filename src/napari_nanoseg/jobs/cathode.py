"""Write phantoms of cathodes as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from napari_nanoseg.config.cathode import CathodeConfig, CathodeJob
from napari_nanoseg.events import JobResult, Stage, tell
from napari_nanoseg.generators.cathode.generator import Cathode
from napari_nanoseg.generators.cathode.phantom import slice_name
from napari_nanoseg.io.images import write_image, write_labels
from napari_nanoseg.io.tables import write_columns
from napari_nanoseg.jobs.synthesis import write_dataset, written
from napari_nanoseg.samples import Image


def cathode_job(job: CathodeJob) -> JobResult:
    """Write phantoms of cathodes, as stacks or as some of their slices; see :func:`write_dataset`.

    Beside ``images/`` and ``masks/`` there are ``particles/`` with the numbers of the particles, and for each phantom
    ``truth/NAME.csv`` with a row for every particle and ``truth/NAME_profile.csv`` with a row for every slice.

    Raises
    ------
    NanosegError
        When the phantoms cannot be made (see :class:`Cathode`), and as in :func:`write_dataset`.
    """
    tell(Stage("prepare", "Trying whether the particles fit into the volume."))
    return write_dataset(job, [], lambda out: PhantomWriter(Cathode(job.config), out), datetime.now(UTC))


class PhantomWriter(AbstractContextManager["PhantomWriter"]):
    """Writes phantoms: stacks, or slices as images of their own."""

    def __init__(self, generator: Cathode, out: Path) -> None:
        self._generator, self._out = generator, out

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave all as it is: nothing is written last."""

    @property
    def notices(self) -> Sequence[str]:
        """Those of the generator."""
        return self._generator.notices

    @property
    def images_each(self) -> int:
        """Images of a phantom."""
        return len(_stems("", self._generator.config))

    def finished(self, count: int) -> set[int]:
        """Which of the first `count` phantoms an earlier run has written in full."""
        config = self._generator.config
        stems = {index: _stems(self._generator.name(index), config) for index in range(count)}
        return {index for index, parts in stems.items() if all(written(self._out, stem) for stem in parts)}

    def write(self, index: int) -> int:
        """Make and write phantom `index`; count its particles."""
        config, out = self._generator.config, self._out
        phantom = self._generator.phantom(index)
        write_columns(out / "truth" / f"{phantom.name}.csv", phantom.truth)
        write_columns(out / "truth" / f"{phantom.name}_profile.csv", phantom.profile)
        mask = phantom.mask(config.masks)
        for stem, z in _stems(phantom.name, config).items():
            image = phantom.image if z is None else phantom.image.plane(z)
            there = slice(None) if z is None else z
            write_labels(out / "particles" / f"{stem}.tif", phantom.particles[there], image.calibration)
            write_image(out / "images" / f"{stem}.tif", image)
            write_image(out / "masks" / f"{stem}.tif", Image(mask[there], image.axes, image.calibration, stem))
        return len(phantom.truth["id"])


def _stems(name: str, config: CathodeConfig) -> dict[str, int | None]:
    """Stems of the files of a phantom, and the slices that they hold; None: all."""
    if config.output == "volumes":
        return {name: None}
    count = min(config.slices, config.depth)
    taken = [int((number + 0.5) * config.depth / count) for number in range(count)]
    return {slice_name(name, z): z for z in taken}
