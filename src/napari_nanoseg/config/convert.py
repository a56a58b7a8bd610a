"""Into which form a model is converted."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from napari_nanoseg.config.base import Config, Overwrite


class ConvertJob(Config):
    """Convert a model between formats: what `nanoseg convert` does.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> result = ns.run(ns.ConvertJob(model="starter", out="keras_model", to="stardist"))
    >>> ns.load_model("keras_model")
    StarDistModel(StarDist 2-D, 32 rays, 3 levels, 24 filters, 1 channel)
    """

    job: Literal["convert"] = "convert"
    model: Path = Field(
        description="Model folder or file, of any format that can be loaded, or the name of a model of the library"
    )
    out: Path = Field(description="Folder of the converted model")
    to: Literal["nanoseg", "stardist", "detectron2"] = Field(
        "nanoseg",
        description="nanoseg: model.yaml and weights.safetensors; stardist: the Keras folder of the "
        "original; detectron2: model_final.pth and config.yaml",
    )
    overwrite: Overwrite = False
