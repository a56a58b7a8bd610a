"""Particles that a model proposes for an empty annotation, for a person to correct; nothing here writes a file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from numpy.typing import NDArray

from napari_nanoseg._gui.drawing import DELETE_KEYS, next_label
from napari_nanoseg._gui.layers import sample_of
from napari_nanoseg._gui.segmenting import loaded
from napari_nanoseg._gui.session import Session
from napari_nanoseg._gui.settings import settings
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Stage, tell
from napari_nanoseg.io.model_cards import ModelEntry, describe_model
from napari_nanoseg.io.model_library import list_library

PROPOSED_BY = "proposed_by"
"""In a layer's metadata: path of the model whose particles it was filled with."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """What a model found.

    Parameters
    ----------
    image : Image layer
    pixels : array
        Its data when the model began.
    layer : Labels layer
        The annotation that is to be filled.
    model : ModelEntry
    labels : int32 array
        The particles.
    """

    image: ImageLayer
    pixels: object
    layer: Labels
    model: ModelEntry
    labels: NDArray[np.int32]


def proposer(session: Session) -> ModelEntry | None:
    """The model that proposes particles: the one that is chosen, else the first usable one of the library."""
    if session.model is not None and (chosen := describe_model(session.model)).problem is None:
        return chosen
    return next((entry for entry in list_library(settings().models) if entry.problem is None), None)


def check_empty(layer: Labels) -> None:
    """See that a layer may be filled.

    Raises
    ------
    NanosegError
        When there is something in it.
    """
    if layer.multiscale or np.any(layer.data):
        raise NanosegError(f"The layer '{layer.name}' is not empty; make a new annotation to have particles proposed.")


def propose(image: ImageLayer, layer: Labels, model: ModelEntry, device: str, threads: int) -> Proposal:
    """Find particles with a model; for a thread, as it only reads the layers."""
    tell(Stage("load", f"Loading the model {model.name}."))
    pixels = image.data
    sample = sample_of(image, layer)
    network = loaded(model.path)
    from napari_nanoseg.engines.device import use_threads

    use_threads(threads)
    instances = network.segment(sample.image, SegmentConfig(device=device))
    return Proposal(image, pixels, layer, model, instances.to_labels())


def fill(proposal: Proposal, session: Session) -> str:
    """Put a proposal into its layer, as one step that Ctrl+Z takes back; says what to do next.

    Raises
    ------
    NanosegError
        When layer or image are not as they were; the layer stays as it is then.
    """
    layer, labels, name = proposal.layer, proposal.labels, proposal.model.name
    if layer not in session.viewer.layers:
        raise NanosegError(f"The layer '{layer.name}' was removed meanwhile; propose again.")
    if proposal.image not in session.viewer.layers:
        raise NanosegError(
            f"The image '{proposal.image.name}' was removed meanwhile; choose an image and propose again."
        )
    if proposal.image.data is not proposal.pixels or layer.data.size != labels.size:
        raise NanosegError(f"The image '{proposal.image.name}' was changed meanwhile; propose again.")
    check_empty(layer)
    count = int(labels.max())
    if count > np.iinfo(layer.data.dtype).max:
        raise NanosegError(
            f"The layer '{layer.name}' cannot hold {count} labels; make a new annotation and propose again."
        )
    if not count:
        return f"No particle was found by '{name}'. Outline them by hand, or choose another model in the Segment step."
    labels = labels.reshape(layer.data.shape)
    where = np.nonzero(labels)
    layer.data_setitem(where, labels[where])
    next_label(layer)
    layer.metadata = {**layer.metadata, PROPOSED_BY: str(proposal.model.path)}
    found = len(np.unique(labels[where]))
    return (
        f"{found} particle{'s' * (found != 1)} proposed by '{name}'. Remove wrong ones with {' or '.join(DELETE_KEYS)} "
        "over them, outline missing ones, then save or train. Ctrl+Z takes all back."
    )
