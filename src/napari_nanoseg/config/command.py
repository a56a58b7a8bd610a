"""The commands: which words do which job, and the command that does a given job."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_nanoseg.config.base import Config, describe
from napari_nanoseg.config.cathode import CathodeJob
from napari_nanoseg.config.check import CheckJob
from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.config.cracks import CracksJob
from napari_nanoseg.config.demo import DemoJob
from napari_nanoseg.config.density import DensityJob
from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.config.generate import GenerateJob
from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.measure import MeasureJob
from napari_nanoseg.config.nanowires import FitNanowiresJob, NanowiresJob
from napari_nanoseg.config.options import Option, kinds_of, option_at, options_of, value_at, values_of, with_kinds
from napari_nanoseg.config.paths import absolute
from napari_nanoseg.config.segment import SegmentJob
from napari_nanoseg.config.sweep import SweepJob
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.documents import read_yaml
from napari_nanoseg.errors import NanosegError


@dataclass(frozen=True)
class Command:
    """A command: its words, the job it does and which of its fields are positional arguments.

    Where jobs of a class have configs of several kinds, `config` is one of the kind of this command. Its help shows the
    `examples`.
    """

    words: str
    help: str
    job: type[AnyJob]
    arguments: tuple[str, ...] = ()
    config: Config | None = None
    examples: tuple[str, ...] = ()

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """Its options, made from the fields of the job."""
        return options_of(self.job, self.arguments, self._defaults)

    @cached_property
    def kinds(self) -> dict[tuple[str, ...], str]:
        """What tells that a job is of this command among those of its class: places in it, and what stands there."""
        return kinds_of(self.job, self._defaults)

    @property
    def _defaults(self) -> Config | None:
        values: dict[str, Any] = {"config": self.config}
        return None if self.config is None else self.job.model_construct(None, **values)

    def does(self, job: AnyJob) -> bool:
        """Whether a job is one of this command."""
        return type(job) is self.job and all(value_at(job, place) == word for place, word in self.kinds.items())

    def parse(self, given: dict[str, Any], config: Path | None = None) -> AnyJob:
        """Make the job from what the user gave, on top of a config or job file.

        Raises
        ------
        NanosegError
            When the file or a value is bad; names the option where there is one.
        """
        base = None if config is None else read_yaml(config)
        if base is not None and not isinstance(base, dict):
            raise NanosegError(f"{config}: this is not a config; write one field per line.")
        if base is not None and "job" not in base:
            base = {"config": base}
        try:
            return self.job.model_validate(with_kinds(values_of(self.options, given, base), self.kinds))
        except ValidationError as error:
            option = option_at(self.options, error.errors()[0]["loc"])
            named = f" (option {option})" if option else ""
            raise NanosegError(
                f"nanoseg {self.words}: {describe(error, self.job).removesuffix('.')}{named}."
            ) from error
        except NanosegError as error:
            raise NanosegError(f"nanoseg {self.words}: {error}") from error


COMMANDS = (
    Command(
        "generate cutpaste",
        "Write synthetic images made by cutting and pasting annotated particles.",
        GenerateJob,
        examples=("nanoseg generate cutpaste --source annotated --out synthetic --count 200",),
    ),
    Command(
        "generate nanowires",
        "Write synthetic images of nanowires and nanoparticles with true sizes.",
        NanowiresJob,
        examples=(
            "nanoseg generate nanowires --out wires --count 50",
            "nanoseg generate nanowires --preset 'Ag nanowires SEM' --out sem",
        ),
    ),
    Command(
        "generate cathode",
        "Write phantoms of battery cathodes with cracks and their true damage.",
        CathodeJob,
        examples=("nanoseg generate cathode --out phantoms --count 4",),
    ),
    Command(
        "fit nanowires",
        "Fit the nanowire generator to real images.",
        FitNanowiresJob,
        ("images",),
        examples=("nanoseg fit nanowires images --annotated annotated --out wires.yaml",),
    ),
    Command(
        "train stardist",
        "Train a StarDist network on a dataset.",
        TrainJob,
        ("dataset",),
        examples=(
            "nanoseg train stardist annotated --out model",
            "nanoseg train stardist annotated --out model --steps 600 --device cuda",
        ),
    ),
    Command(
        "train maskrcnn",
        "Train a Mask R-CNN, which tells overlapping particles apart, on a dataset.",
        TrainJob,
        ("dataset",),
        TrainConfig(engine=MaskRCNNConfig()),
        examples=(
            "nanoseg train maskrcnn annotated --out model",
            "nanoseg train maskrcnn annotated --backbone resnet50 --out model",
        ),
    ),
    Command(
        "train unet",
        "Train a U-Net, which gives every pixel a class (cracks, voids and so on), on a dataset.",
        TrainJob,
        ("dataset",),
        TrainConfig(engine=UNetConfig()),
        examples=(
            "nanoseg train unet scribbled --out model",
            "nanoseg train unet labelled --class crack --class void --out model",
        ),
    ),
    Command(
        "sweep stardist",
        "Train a StarDist network with each of several values.",
        SweepJob,
        ("dataset",),
        examples=("nanoseg sweep stardist annotated --vary learning_rate=1e-3,3e-4 --out sweep",),
    ),
    Command(
        "sweep maskrcnn",
        "Train a Mask R-CNN with each of several values.",
        SweepJob,
        ("dataset",),
        TrainConfig(engine=MaskRCNNConfig()),
        examples=("nanoseg sweep maskrcnn annotated --vary steps=500,1000 --out sweep",),
    ),
    Command(
        "sweep unet",
        "Train a U-Net with each of several values.",
        SweepJob,
        ("dataset",),
        TrainConfig(engine=UNetConfig()),
        examples=("nanoseg sweep unet labelled --vary engine.filters=16,32 --out sweep",),
    ),
    Command(
        "segment",
        "Find the particles in images with a model.",
        SegmentJob,
        ("model", "images"),
        examples=(
            "nanoseg segment starter images --out labels",
            "nanoseg segment model a.tif b.tif --diameter 58 --out labels",
        ),
    ),
    Command(
        "measure",
        "Measure the particles of label images into a table.",
        MeasureJob,
        ("labels",),
        examples=(
            "nanoseg measure labels --image images --out table.csv",
            "nanoseg measure labels/a.tif --pixel-size-nm 2 --out table.xlsx",
        ),
    ),
    Command(
        "evaluate",
        "Compare predictions with the truth.",
        EvaluateJob,
        ("truth", "prediction"),
        examples=(
            "nanoseg evaluate truth.tif labels/a.tif",
            "nanoseg evaluate annotated labels --out comparison",
        ),
    ),
    Command(
        "density",
        "Turn transmission images, such as STXM's, into optical density.",
        DensityJob,
        ("images",),
        examples=("nanoseg density transmission.tif --out density",),
    ),
    Command(
        "cracks",
        "Find the cracks in a volume and say how damaged it is.",
        CracksJob,
        ("volume",),
        examples=("nanoseg cracks scan.tif --model threshold --out cracks",),
    ),
    Command(
        "check",
        "Check a dataset for what would spoil a training.",
        CheckJob,
        ("dataset",),
        examples=("nanoseg check annotated",),
    ),
    Command(
        "convert",
        "Convert a model between formats.",
        ConvertJob,
        ("model",),
        examples=("nanoseg convert model --to stardist --out converted",),
    ),
    Command("demo", "Do the whole work on the sample micrograph.", DemoJob, examples=("nanoseg demo",)),
)


def command(job: AnyJob) -> str:
    """Write the shell command that does a job.

    Parameters
    ----------
    job : AnyJob

    Returns
    -------
    str
        Quoted for a POSIX shell, with positional arguments first and then only the options that differ from their
        defaults. Paths are absolute, so that it does the same in any folder.
    """
    job = absolute(job)
    kind = next(kind for kind in COMMANDS if kind.does(job))
    spelled = [one for one in kind.options if one.required or value_at(job, one.path) != one.default]
    meant = kind.job.model_validate(with_kinds(_nested(job, spelled), kind.kinds))
    # defaults may depend on other fields, as that of the optimiser on the network
    spelled = [one for one in kind.options if one in spelled or value_at(job, one.path) != value_at(meant, one.path)]
    words = [text for one in spelled for text in one.typed(value_at(job, one.path))]
    return shlex.join(["nanoseg", *kind.words.split(), *words])


def _nested(job: AnyJob, options: Iterable[Option]) -> dict[str, Any]:
    """The values of some options of a job, nested as it takes them."""
    values: dict[str, Any] = {}
    for option in options:
        inner = values
        for name in option.path[:-1]:
            inner = inner.setdefault(name, {})
        inner[option.path[-1]] = value_at(job, option.path)
    return values
