"""Finding out what kind of model lies at a path, and loading it."""

from __future__ import annotations

from pathlib import Path

from napari_nanoseg.engines.base import Model, read_weights
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.model_cards import CARD, NO_MODEL, is_keras, read_card


def load_model(path: str | Path) -> Model:
    """Load a model.

    Parameters
    ----------
    path : path
        A folder made by this project, or a StarDist 2-D model folder or zip of the original implementation.

    Returns
    -------
    Model

    Raises
    ------
    NanosegError
        When there is no model, it is damaged, or of a kind that is not known.
    """
    from napari_nanoseg.engines.stardist.model import StarDistModel

    path = Path(path)
    if not path.exists():
        raise NanosegError(f"There is no model at {path}; check the path.")
    if (path / CARD).is_file():
        card = read_card(path)
        model = StarDistModel.from_card(card)
        read_weights(model.network, path, card.weights_sha256)
        return model
    if is_keras(path):
        return StarDistModel.from_keras(path)
    raise NanosegError(f"{path} {NO_MODEL}")
