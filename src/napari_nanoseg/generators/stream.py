"""``generate``: synthetic samples or phantoms one after the other, for scripts and training loops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, overload

from napari_nanoseg.arguments import as_list
from napari_nanoseg.config.cathode import CathodeConfig
from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.errors import NanosegError, unsuitable
from napari_nanoseg.generators.cathode.phantom import Phantom
from napari_nanoseg.samples import Sample


@overload
def generate(config: CathodeConfig, sources: None = None, **fields: Any) -> Iterator[Phantom]: ...
@overload
def generate(
    config: CutPasteConfig | NanowireConfig, sources: Iterable[Sample] | str | Path | None = None, **fields: Any
) -> Iterator[Sample]: ...
def generate(
    config: CutPasteConfig | NanowireConfig | CathodeConfig,
    sources: Iterable[Sample] | str | Path | None = None,
    **fields: Any,
) -> Iterator[Sample] | Iterator[Phantom]:
    """Make synthetic samples, or phantoms of cathodes, without end; nothing is written.

    Parameters
    ----------
    config : CutPasteConfig, NanowireConfig or CathodeConfig
    sources : iterable of Sample, or path of a data set
        The annotated micrographs that particles and backgrounds of the cut-and-paste generator come from; the others
        have none.
    **fields
        Fields of the config, which override its own.

    Yields
    ------
    Sample or Phantom
        Number 0, 1, 2, ... of the config's seed. Stop asking when there are enough (``itertools.islice``).

    Raises
    ------
    NanosegError
        Already when called: no source, no particle that can be used, hardly any clean background in a partly
        annotated image (see :class:`napari_nanoseg.generators.cutpaste.CutPaste`), objects that cannot be drawn (see
        :class:`napari_nanoseg.generators.nanowires.generator.Nanowires`), phantoms that cannot be made (see
        :class:`napari_nanoseg.generators.cathode.generator.Cathode`).

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> source = ns.sample_data() / "annotated"
    >>> samples = ns.generate(ns.CutPasteConfig(height=256, width=256), source, seed=1)
    >>> next(samples).image
    Image(256 x 256 px, uint8, YX, 2.5 nm/px, 'cutpaste_000000')
    """
    if not isinstance(config, CutPasteConfig | NanowireConfig | CathodeConfig):
        raise unsuitable("generate: 'config'", config, "a CutPasteConfig, NanowireConfig or CathodeConfig")
    config = config.with_fields(**fields)
    if isinstance(config, CathodeConfig):
        if sources is not None:
            raise NanosegError("The cathode generator takes no source; leave it out.")
        from napari_nanoseg.generators.cathode.generator import Cathode

        phantoms = Cathode(config)
        return (phantoms.phantom(index) for index in count())
    if isinstance(config, NanowireConfig):
        if sources is not None:
            raise NanosegError("The nanowire generator takes no source; leave it out.")
        from napari_nanoseg.generators.nanowires.generator import Nanowires

        wires = Nanowires(config)
        return (wires.sample(index) for index in count())
    if sources is None:
        raise NanosegError("The cut-and-paste generator has no source; give it at least one annotated micrograph.")
    if isinstance(sources, str | Path):
        from napari_nanoseg.io.datasets import open_dataset

        sources = open_dataset(Path(sources))
    from napari_nanoseg.generators.cutpaste import CutPaste

    wanted = "a list of samples or the path of a dataset"
    generator = CutPaste(config, as_list(sources, Sample, "generate: 'sources'", wanted))
    return (generator.sample(index) for index in count())
