"""Finding out what kind of model lies at a path, and loading it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_nanoseg.arguments import as_path
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.base import Model, read_weights
from napari_nanoseg.engines.networks import check_size
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.cdnet_files import CDNET_CONFIG, is_cdnet
from napari_nanoseg.io.detectron2_files import WEIGHTS_SUFFIXES, is_detectron2
from napari_nanoseg.io.keras_files import KERAS_WEIGHTS
from napari_nanoseg.io.model_cards import CARD, NO_MODEL, WEIGHTS, is_keras, read_card
from napari_nanoseg.io.model_library import find_model
from napari_nanoseg.reading import need_file

if TYPE_CHECKING:
    from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
    from napari_nanoseg.engines.stardist.model import StarDistModel
    from napari_nanoseg.engines.unet.model import UNetModel


def load_model(name_or_path: str | Path) -> Model:
    """Load a model.

    Parameters
    ----------
    name_or_path : str or path
        A folder made by this project; a StarDist 2-D model folder or zip of the original implementation; weights of
        Detectron2 (``.pth`` or ``.pkl``) with their config beside them, or a folder with both; weights of CDNet
        (``.hdf5``), with ``u-net.json`` beside them or not, or a folder with them; or the name of a model in the user's
        library, or of one that comes with the package.

    Returns
    -------
    Model

    Raises
    ------
    NanosegError
        When there is no model, it is damaged, or of a kind that is not known.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> ns.load_model("starter")
    StarDistModel(StarDist 2-D, 32 rays, 3 levels, 24 filters, 1 channel; particles of any size)
    >>> ns.load_model("watershed")
    BaselineModel(Otsu's threshold and watershed, no training; particles of any size)
    """
    path = find_model(as_path(name_or_path, "load_model: 'name_or_path'"))
    if (path / CARD).is_file():
        card = read_card(path)
        if not card.needs_weights:
            from napari_nanoseg.engines.baseline.model import BaselineModel

            return BaselineModel.from_card(card)
        engine = _engine(card)
        check_size(
            lambda: engine.from_card(card).network, need_file(path / WEIGHTS, "copy the whole model folder again"), path
        )
        model = engine.from_card(card)
        read_weights(model.network, path, card.weights_sha256)
        model.folder = path
        return model
    if is_keras(path):
        return _stardist().from_keras(path)
    if is_detectron2(path) or path.suffix.lower() in WEIGHTS_SUFFIXES:
        return _maskrcnn().from_detectron2(path)
    if is_cdnet(path) or path.name == CDNET_CONFIG or path.suffix.lower() in KERAS_WEIGHTS:
        return _unet().from_cdnet(path)
    raise NanosegError(f"{path} {NO_MODEL}")


def _engine(card: ModelCard) -> type[StarDistModel] | type[MaskRCNNModel] | type[UNetModel]:
    if isinstance(card.network, UNetConfig):
        return _unet()
    return _maskrcnn() if isinstance(card.network, MaskRCNNConfig) else _stardist()


def _unet() -> type[UNetModel]:
    from napari_nanoseg.engines.unet.model import UNetModel

    return UNetModel


def _stardist() -> type[StarDistModel]:
    from napari_nanoseg.engines.stardist.model import StarDistModel

    return StarDistModel


def _maskrcnn() -> type[MaskRCNNModel]:
    """Imported only where it is used, for torchvision takes its time."""
    from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel

    return MaskRCNNModel
