"""What a Mask R-CNN found, from which thresholds choose without running it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.base import Found, stacked
from napari_nanoseg.engines.keeping import Keeping
from napari_nanoseg.engines.maskrcnn.merging import Piece, merge_pieces
from napari_nanoseg.engines.maskrcnn.pasting import pasted
from napari_nanoseg.engines.maskrcnn.predict import FULL, Candidates, survivors
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, checkpoint, tell
from napari_nanoseg.instances import Instances
from napari_nanoseg.tiling import Tile

MOST_KEPT = 200_000
"""Candidates that are kept for lower thresholds: 0.3 GB of masks."""
EDGE = 4.0
"""An object that ends nearer to the edge of its window may go on beyond it, px at working scale."""
FEW = 50
"""Masks between two chances to stop."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What one window of a plane shows.

    Parameters
    ----------
    candidates : Candidates
    tile : Tile
        Where the window lies at working scale, and its own part.
    """

    candidates: Candidates
    tile: Tile

    def survivors(self, probability: float, overlap: float, most: int) -> Candidates:
        """All that no more probable one covers, most probable first."""
        found = self.candidates
        boxes, scores, classes = (torch.from_numpy(part) for part in (found.boxes, found.scores, found.classes))
        return found[survivors(boxes, scores, classes, probability, overlap, most).numpy()]

    def chosen(self, probability: float, overlap: float, most: int) -> Candidates:
        """The survivors that reach into the window's own part: the others are another window's."""
        kept = self.survivors(probability, overlap, most)
        (top, bottom), (left, right) = self.tile.own_rows, self.tile.own_columns
        row, column = self.tile.rows[0], self.tile.columns[0]
        x0, y0, x1, y1 = kept.boxes.T
        return kept[(x1 + column > left) & (x0 + column < right) & (y1 + row > top) & (y0 + row < bottom)]


@dataclass(frozen=True, eq=False)
class Plane:
    """What the windows of a plane show.

    Parameters
    ----------
    seen : sequence of Seen
    scaled, shape : tuple of int
        Rows and columns at working scale and of the image.
    """

    seen: Sequence[Seen]
    scaled: tuple[int, int]
    shape: tuple[int, int]

    def chosen(self, probability: float, overlap: float, most: int) -> Instances:
        """The objects in full resolution, most probable first."""
        step = np.array([self.shape[1] / self.scaled[1], self.shape[0] / self.scaled[0]] * 2, np.float32)
        pieces: list[Piece] = []
        for number, seen in enumerate(self.seen):
            kept = seen.chosen(probability, overlap, most)
            cut = self._cut(seen.tile, kept.boxes)
            corner = np.array([seen.tile.columns[0], seen.tile.rows[0]] * 2, np.float32)
            limits = np.array(self.shape[::-1] * 2, np.float32)
            boxes = np.clip((kept.boxes + corner) * step, 0, limits)
            for index, box in enumerate(boxes):
                mask, start = pasted(kept.masks[index] / np.float32(FULL), box, self.shape)
                if mask.any():
                    score, kind = float(kept.scores[index]), int(kept.classes[index])
                    pieces.append(Piece(number, start, mask, score, kind, bool(cut[index])))
                if index % FEW == 0:
                    checkpoint()
        if len(self.seen) > 1:
            frames = [self._frame(seen.tile, step) for seen in self.seen]
            pieces = merge_pieces(pieces, frames, overlap)
        pieces.sort(key=lambda piece: -piece.score)
        return Instances.from_masks(
            self.shape,
            np.array([piece.box for piece in pieces], np.int64).reshape(-1, 4),
            [piece.mask for piece in pieces],
            scores=np.array([piece.score for piece in pieces], np.float32),
            classes=np.array([piece.kind for piece in pieces], np.int32),
        )

    def full(self, probability: float, overlap: float, most: int) -> bool:
        """Whether a window has as many objects as it may have."""
        return any(
            np.count_nonzero(seen.candidates.scores > probability) >= most
            and len(seen.survivors(probability, overlap, most)) >= most
            for seen in self.seen
        )

    def _cut(self, tile: Tile, boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which boxes reach an edge of the window where the image goes on."""
        x0, y0, x1, y1 = boxes.T
        high, wide = tile.rows[1] - tile.rows[0], tile.columns[1] - tile.columns[0]
        cut: NDArray[np.bool_] = (
            ((y0 < EDGE) & (tile.rows[0] > 0))
            | ((x0 < EDGE) & (tile.columns[0] > 0))
            | ((y1 > high - EDGE) & (tile.rows[1] < self.scaled[0]))
            | ((x1 > wide - EDGE) & (tile.columns[1] < self.scaled[1]))
        )
        return cut

    @staticmethod
    def _frame(tile: Tile, step: NDArray[np.float32]) -> tuple[int, int, int, int]:
        """The window in px of the image."""
        corners = np.array([tile.rows[0], tile.columns[0], tile.rows[1], tile.columns[1]])
        row, column, row_stop, column_stop = np.rint(corners * step[[1, 0, 3, 2]]).astype(int).tolist()
        return row, column, row_stop, column_stop


class MaskRCNNFound(Found):
    """What the windows of an image or of every plane of a stack show; none of its pixels.

    Parameters
    ----------
    planes : sequence of Plane
    most : int
        Objects that a window may have.
    stack : bool
        Whether the result is a volume.
    config : SegmentConfig
        With the thresholds that were asked for, none of them empty.
    floor : float
        Lowest probability that can be asked for.
    suppressed : bool
        Whether only survivors at the overlap of the config were kept.
    """

    def __init__(
        self, planes: Sequence[Plane], most: int, stack: bool, config: SegmentConfig, floor: float, *, suppressed: bool
    ):
        self._planes, self._most, self._stack, self._suppressed = planes, most, stack, suppressed
        self.config, self.floor = config, floor

    def instances(self, config: SegmentConfig | None = None) -> Instances:
        """Choose among the candidates; see the base class.

        Raises
        ------
        NanosegError
            When the probability is below the floor, or another overlap is asked for than only was kept.
        """
        probability, overlap, min_area = self.thresholds(config or self.config)
        if self._suppressed and overlap != self.config.overlap:
            raise NanosegError(
                f"Only objects for an overlap of {self.config.overlap:.2g} were kept; segment again for another one."
            )
        slices = []
        if any(plane.full(probability, overlap, self._most) for plane in self._planes):
            tell(
                Notice(
                    f"A part of the image has as many objects as the model gives at once ({self._most}), so there "
                    "may be more; choose smaller tiles, or more detections per image in the model's card or config."
                )
            )
        for plane in self._planes:
            instances = plane.chosen(probability, overlap, self._most)
            slices.append(instances[instances.areas >= min_area] if min_area else instances)
        return stacked(slices) if self._stack else slices[0]


class Collector(Keeping):
    """Gathers the candidates of one window after the other; their number, and so the memory, is bounded."""

    def __init__(self, probability: float, floor: float):
        super().__init__(probability, floor)
        self.planes: list[list[Seen]] = []

    def add(self, seen: Seen) -> None:
        """Take one more window of the last plane; raise the floor when there are too many candidates."""
        self.planes[-1].append(self._above(seen))
        if self.crowded([one.candidates.scores for plane in self.planes for one in plane], MOST_KEPT):
            self.planes = [[self._above(one) for one in plane] for plane in self.planes]

    def _above(self, seen: Seen) -> Seen:
        return replace(seen, candidates=seen.candidates[seen.candidates.scores > self.floor])
