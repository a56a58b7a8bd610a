"""Into which form a model is converted."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from napari_nanoseg.config.base import Config


class ConvertJob(Config):
    """Convert a model between formats: what `nanoseg convert` does."""

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
