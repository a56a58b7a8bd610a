"""A model in words, for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_nanoseg.config.baseline import BaselineConfig, WatershedConfig
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard, NetworkConfig
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.cdnet_files import read_cdnet_config
from napari_nanoseg.io.detectron2_config import read_config
from napari_nanoseg.io.detectron2_files import detectron2_files
from napari_nanoseg.io.model_cards import README, ModelEntry, describe_model, is_keras
from napari_nanoseg.io.model_library import check_model

UNKNOWN = "not known"
KINDS = {
    kind.model_fields["engine"].default: kind.model_fields["engine"].title
    for kind in (StarDistConfig, MaskRCNNConfig, UNetConfig)
}
"""What people call the networks, by the names of their engines."""


def problem_of(path: Path) -> str | None:
    """Why the model at a path cannot be used, its weights looked at as well; None when it is whole."""
    try:
        check_model(path)
    except NanosegError as error:
        return str(error)
    return None


def summary(path: Path) -> dict[str, str]:
    """Say what is known about the model at a path.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        Texts by their label; `Files` says whether the model is whole.
    """
    entry = describe_model(path)
    lines = {"Name": entry.name, "Path": str(path)}
    if entry.card is not None:
        lines |= card_in_words(entry.card)
    elif entry.problem is None:
        network = "StarDist 2-D in the original's format"
        if entry.engine == "unet":
            network = f"{network_in_words(read_cdnet_config(path))}, in CDNet's format"
        elif not is_keras(path):
            network = f"{network_in_words(read_config(detectron2_files(path)[1]))}, in Detectron2's format"
        lines |= {"Network": network} | _thresholds(entry)
    if (path / README).is_file():
        lines["Read more"] = str(path / README)
    return lines | {"Files": problem_of(path) or "ok"}


def card_in_words(card: ModelCard) -> dict[str, str]:
    """Say what the card of a model tells: texts by their label."""
    if not card.needs_weights:
        parameters = card.network.model_dump(mode="json", exclude={"engine"})
        return {"Network": network_in_words(card.network)} | {
            name.replace("_", " ").capitalize(): str(value) for name, value in parameters.items()
        }
    lines = {"Network": network_in_words(card.network)}
    if isinstance(card.network, UNetConfig):
        least = card.class_thresholds or (card.thresholds["prob"],) * len(card.network.classes)
        named = zip(card.network.classes, least, strict=True)
        lines["Thresholds"] = ", ".join(f"{name} {value:.3g}" for name, value in named)
    else:
        working = f"{card.working_diameter:g} px" if card.working_diameter else "none: images are not rescaled"
        lines |= {
            "Thresholds": _both(card.thresholds),
            "Working diameter": working,
            "Training diameter": _training_diameter(card),
        }
    size = card.training_pixel_size_nm
    return lines | {
        "Training pixel size": UNKNOWN if size is None else f"{size:.4g} nm",
        **_provenance(card.provenance),
    }


def network_in_words(network: NetworkConfig) -> str:
    """What kind of network a model is, or what it does without one."""
    if isinstance(network, BaselineConfig):
        threshold = "Otsu's threshold" if network.method == "otsu" else "local threshold"
        return f"{threshold}{' and watershed' * isinstance(network, WatershedConfig)}, no training"
    if isinstance(network, MaskRCNNConfig):
        shape = network.architecture
        classes = "1 class" if network.n_classes == 1 else f"{network.n_classes} classes"
        return f"Mask R-CNN, ResNet-{shape.depth}, {shape.fpn_channels} channels, {classes}, {network.channel_format}"
    if isinstance(network, UNetConfig):
        return (
            f"U-Net {network.dimensions.upper()}, {network.levels} levels, {network.filters} filters, classes "
            f"{', '.join(network.classes)}"
        )
    channels = "1 channel" if network.n_channel_in == 1 else f"{network.n_channel_in} channels"
    return (
        f"StarDist 2-D, {network.n_rays} rays, {network.unet_n_depth} levels, {network.unet_n_filter_base} filters, "
        f"{channels}"
    )


def _training_diameter(card: ModelCard) -> str:
    if card.for_any_size:
        return "any; estimated in every image"
    return UNKNOWN if card.training_diameter is None else f"{card.training_diameter:.4g} px"


def _thresholds(entry: ModelEntry) -> dict[str, str]:
    return {} if entry.thresholds is None else {"Thresholds": _both(entry.thresholds)}


def _both(thresholds: Mapping[Any, float]) -> str:
    words = {"prob": "probability", "nms": "overlap"}
    return ", ".join(f"{words[name]} {value:.3g}" for name, value in thresholds.items())


def _provenance(record: Mapping[str, Any]) -> dict[str, str]:
    """When and on what it was trained; a record of another program may have nothing of it."""
    if "read_from" in record:
        return {"Made from": f"{record['read_from']} ({record.get('format', UNKNOWN)})"}
    config, figures = record.get("config"), record.get("figures")
    lines = {"Trained": str(record.get("finished", UNKNOWN))}
    if isinstance(config, Mapping) and "dataset" in config:
        lines["Trained on"] = str(config["dataset"])
        if config.get("start_from") is not None:
            lines["Started from"] = str(config["start_from"])
    if isinstance(figures, Mapping) and figures:
        shown = (
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
        )
        lines["Figures"] = ", ".join(shown)
    return lines
