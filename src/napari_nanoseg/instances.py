"""Instances: every particle with its own mask, so that masks may overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_nanoseg.display import Shown, coloured, counted, extent, step_for
from napari_nanoseg.errors import NanosegError, unsuitable
from napari_nanoseg.greyness import refuse_grey
from napari_nanoseg.layer_data import LayerData, add_particles, particles_layer, place_for
from napari_nanoseg.outlines import outline, rasterise, rings
from napari_nanoseg.rle import decode_counts, encode_counts, mask_from_counts, mask_to_counts

if TYPE_CHECKING:
    from pandas import DataFrame

LARGEST_ID = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False, repr=False)
class Instances(Shown):
    """The particles of one image, each with a mask of its own.

    Make one with :meth:`from_labels`, :meth:`from_masks`, :meth:`from_polygons`, :meth:`from_coco` or :meth:`empty`.

    Parameters
    ----------
    shape : tuple of int
        Of the image plane (Y, X), or of a volume (Z, Y, X).
    boxes : int64 array, shape (N, 2 * ndim)
        Tight bounding boxes, half open: starts then stops (row0, column0, row1, column1).
    masks : tuple of N bool arrays
        Each object within its box.
    scores : float32 array, shape (N,)
        How sure the model is, 0 to 1; 1 where nothing is known.
    classes : int32 array, shape (N,)
        0 where there are no classes.
    ids : int32 array, shape (N,)
        Positive and unique: the object's label in :meth:`to_labels`.

    Raises
    ------
    NanosegError
        When the fields differ in length or the ids are not positive and unique.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> labels = np.zeros((6, 8), int)
    >>> labels[1:4, 1:4] = 1
    >>> labels[3:5, 5:7] = 2
    >>> particles = ns.Instances.from_labels(labels)
    >>> particles
    Instances(2 particles, 6 x 8 px)
    >>> particles.areas
    array([9, 4])
    >>> particles[particles.areas > 5].ids
    array([1], dtype=int32)
    """

    shape: tuple[int, ...]
    boxes: NDArray[np.int64]
    masks: tuple[NDArray[np.bool_], ...]
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]
    ids: NDArray[np.int32]

    def __post_init__(self) -> None:
        count = len(self.masks)
        if not (self.boxes.shape == (count, 2 * len(self.shape)) and self.scores.shape == (count,)
                and self.classes.shape == (count,) and self.ids.shape == (count,)):  # fmt: skip
            raise NanosegError(
                f"{count} masks with {len(self.boxes)} boxes, {self.scores.size} scores, {self.classes.size} classes "
                f"and {self.ids.size} ids do not belong together; give one of each per object."
            )
        if count and (self.ids.min() < 1 or len(np.unique(self.ids)) < count):
            raise NanosegError("Object ids must be positive and different from each other; renumber them.")

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Self:
        """No objects in an image of this shape.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.Instances.empty((64, 64))
        Instances(0 particles, 64 x 64 px)
        """
        return cls.from_masks(shape, np.zeros((0, 2 * len(shape))), ())

    @classmethod
    def from_labels(
        cls, labels: NDArray[Any], scores: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Objects of a label image; each label becomes the id of one object, also when it is in several pieces.

        Parameters
        ----------
        labels : integer array, shape (Y, X) or (Z, Y, X)
            0 and negative numbers are background.
        scores, classes : array, shape (N,), optional
            In the order of the sorted labels.

        Raises
        ------
        NanosegError
            When the array is not of integers, looks like a grey image, or a label does not fit into 32 bits.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> labels = np.zeros((6, 8), int)
        >>> labels[1:4, 1:4] = 1
        >>> labels[3:5, 5:7] = 2
        >>> ns.Instances.from_labels(labels, scores=[0.9, 0.6]).scores
        array([0.9, 0.6], dtype=float32)
        """
        from scipy.ndimage import find_objects

        labels = np.asarray(labels)
        if labels.dtype.kind not in "iu":
            raise NanosegError(f"Labels must be whole numbers, not {labels.dtype}; number the objects first.")
        refuse_grey(labels, "The array")
        largest = int(labels.max(initial=0))
        if largest > LARGEST_ID:
            raise NanosegError(f"The label {largest} is too large for an object's id; renumber the labels from 1.")
        values = None
        if largest > labels.size:  # find_objects needs memory for every number up to the largest
            foreground = labels > 0
            values, places = np.unique(labels[foreground], return_inverse=True)
            labels = np.zeros(labels.shape, dtype=np.int32)
            labels[foreground] = places + 1
        else:
            if labels.min(initial=0) < 0:
                labels = np.maximum(labels, 0)
            labels = labels.astype(np.int32, copy=False)  # 60 ms each for 4096 x 4096, needed by few
        found = [(number, box) for number, box in enumerate(find_objects(labels), start=1) if box is not None]
        boxes = [[s.start for s in box] + [s.stop for s in box] for _, box in found]
        numbers = np.array([number for number, _ in found], dtype=np.int32)
        count = len(found)
        return cls(
            shape=labels.shape,
            boxes=np.array(boxes, dtype=np.int64).reshape(count, 2 * labels.ndim),
            masks=tuple(labels[box] == number for number, box in found),
            scores=_filled(scores, count, 1, np.float32),
            classes=_filled(classes, count, 0, np.int32),
            ids=numbers if values is None else values.astype(np.int32),
        )

    @classmethod
    def from_masks(
        cls,
        shape: tuple[int, ...],
        boxes: ArrayLike,
        masks: Sequence[NDArray[Any]],
        scores: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        ids: ArrayLike | None = None,
    ) -> Self:
        """Objects from masks that may reach beyond the image; what lies inside is kept, objects without pixels are not.

        Parameters
        ----------
        shape : tuple of int
            Of the image.
        boxes : integer array, shape (N, 2 * ndim)
            Where each mask lies: starts then stops, half open; need not be tight and may leave the image.
        masks : sequence of N arrays
            Nonzero belongs to the object; each has the shape of its box.
        scores, classes, ids : array, shape (N,), optional
            Ids default to 1, 2, ... of the objects that are kept.

        Raises
        ------
        NanosegError
            When a mask does not have the shape of its box, or the lengths differ.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> mask = np.ones((3, 3), bool)
        >>> pair = ns.Instances.from_masks((6, 8), [[1, 1, 4, 4], [2, 2, 5, 5]], [mask, mask])
        >>> pair.overlapping
        True
        >>> pair.areas
        array([9, 9])
        """
        ndim, count = len(shape), len(masks)
        bounds = np.asarray(boxes, dtype=np.int64).reshape(-1, 2 * ndim)
        if len(bounds) != count:
            raise NanosegError(f"{count} masks came with {len(bounds)} boxes; give one box per mask.")
        tight_boxes, crops, kept = [], [], []
        for index, (bound, mask) in enumerate(zip(bounds, masks, strict=True)):
            start, stop = bound[:ndim], bound[ndim:]
            if mask.shape != tuple(stop - start):
                raise NanosegError(
                    f"Mask {index} has the shape {mask.shape} but its box {tuple(int(n) for n in stop - start)}; "
                    "give each mask the shape of its box."
                )
            crop, low = _tightened(mask, start, shape)
            if crop.size:
                kept.append(index)
                crops.append(crop)
                tight_boxes.append([*low, *(low + crop.shape)])
        return cls(
            shape=tuple(int(size) for size in shape),
            boxes=np.array(tight_boxes, dtype=np.int64).reshape(len(kept), 2 * ndim),
            masks=tuple(crops),
            scores=_filled(scores, count, 1, np.float32)[kept],
            classes=_filled(classes, count, 0, np.int32)[kept],
            ids=np.arange(1, len(kept) + 1, dtype=np.int32) if ids is None else _filled(ids, count, 0, np.int32)[kept],
        )

    @classmethod
    def from_polygons(
        cls,
        polygons: Sequence[ArrayLike],
        shape: tuple[int, ...],
        scores: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        ids: ArrayLike | None = None,
    ) -> Self:
        """Objects from outlines; a pixel belongs to an object when its centre lies inside (even-odd rule).

        Parameters
        ----------
        polygons : sequence of N arrays, shape (K, 2)
            (row, column) vertices; the centre of the first pixel is (0, 0). Need not be closed.
        shape : tuple of int
            (Y, X) of the image; what lies outside is cut off.
        scores, classes, ids : array, shape (N,), optional
            As in :meth:`from_masks`.

        Raises
        ------
        NanosegError
            When a polygon has fewer than three vertices or vertices that are not finite.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> square = [(0.5, 0.5), (0.5, 3.5), (3.5, 3.5), (3.5, 0.5)]
        >>> ns.Instances.from_polygons([square], (5, 5)).to_labels()
        array([[0, 0, 0, 0, 0],
               [0, 1, 1, 1, 0],
               [0, 1, 1, 1, 0],
               [0, 1, 1, 1, 0],
               [0, 0, 0, 0, 0]], dtype=int32)
        """
        boxes, masks = [], []
        for polygon in polygons:
            try:
                vertices = np.asarray(polygon, dtype=float)
            except (TypeError, ValueError):
                raise unsuitable("An outline", polygon, "an array of vertices (row, column)") from None
            mask, start = rasterise(vertices, shape)
            boxes.append([*start, *np.add(start, mask.shape)])
            masks.append(mask)
        return cls.from_masks(shape, np.reshape(boxes, (len(masks), 4)), masks, scores, classes, ids)

    @classmethod
    def from_coco(cls, annotations: Sequence[Mapping[str, Any]], shape: tuple[int, ...]) -> Self:
        """Objects from COCO annotations of one image.

        Parameters
        ----------
        annotations : sequence of mapping
            `segmentation` as polygons, or as compressed or plain run lengths; `category_id`, `score` and
            `instance_id` (the object's id, written by :meth:`to_coco`) where present.
        shape : tuple of int
            (Y, X) of the image.

        Raises
        ------
        NanosegError
            When a segmentation is missing, damaged or made for another image size, a score or category is no number, or
            only some annotations have a score.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> outline = {"segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]], "category_id": 2}
        >>> particle = ns.Instances.from_coco([outline], (6, 8))
        >>> particle.areas, particle.classes
        (array([9]), array([2], dtype=int32))
        """
        scores = [annotation["score"] for annotation in annotations if annotation.get("score") is not None]
        if scores and len(scores) < len(annotations):
            raise NanosegError(
                f"{len(scores)} of {len(annotations)} COCO annotations have a score; give one to all or to none."
            )
        boxes, masks = [], []
        for number, annotation in enumerate(annotations, start=1):
            mask, start = _coco_mask(annotation.get("segmentation"), shape, f"COCO annotation {number}")
            boxes.append([*start, *np.add(start, mask.shape)])
            masks.append(mask)
        ids = [annotation["instance_id"] for annotation in annotations if "instance_id" in annotation]
        return cls.from_masks(
            shape,
            np.reshape(boxes, (len(masks), 4)),
            masks,
            scores=_coco_numbers(scores, np.float32, "score") if scores else None,
            classes=_coco_numbers([one.get("category_id", 0) for one in annotations], np.int32, "category_id"),
            ids=ids if len(ids) == len(annotations) else None,
        )

    def to_labels(self) -> NDArray[np.int32]:
        """Label image in which the object with the higher score is on top; of equals, the later one.

        Returns
        -------
        int32 array, shape `shape`
            The ids of the objects; 0 is background. An object that others cover completely does not appear.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> labels = np.zeros((6, 8), int)
        >>> labels[1:4, 1:4] = 1
        >>> labels[3:5, 5:7] = 2
        >>> ns.Instances.from_labels(labels).to_labels()
        array([[0, 0, 0, 0, 0, 0, 0, 0],
               [0, 1, 1, 1, 0, 0, 0, 0],
               [0, 1, 1, 1, 0, 0, 0, 0],
               [0, 1, 1, 1, 0, 2, 2, 0],
               [0, 0, 0, 0, 0, 2, 2, 0],
               [0, 0, 0, 0, 0, 0, 0, 0]], dtype=int32)
        """
        labels = np.zeros(self.shape, dtype=np.int32)
        for index in np.argsort(self.scores, kind="stable"):
            labels[self._box(index)][self.masks[index]] = self.ids[index]
        return labels

    def to_polygons(self) -> list[NDArray[np.float64]]:
        """Outline of each object, halfway between its pixels and the others (2-D only).

        Returns
        -------
        list of N float64 arrays, shape (K, 2)
            (row, column) vertices. Pieces and holes are joined by lines walked to and fro, which enclose nothing:
            :meth:`from_polygons` gives back exactly the same masks.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> labels = np.zeros((6, 8), int)
        >>> labels[1:4, 1:4] = 1
        >>> labels[3:5, 5:7] = 2
        >>> ns.Instances.from_labels(labels).to_polygons()[1]
        array([[4.5, 6. ],
               [4.5, 5. ],
               [4. , 4.5],
               [3. , 4.5],
               [2.5, 5. ],
               [2.5, 6. ],
               [3. , 6.5],
               [4. , 6.5]])
        """
        self._need_plane("outlines")
        return [outline(mask) + box[:2] for mask, box in zip(self.masks, self.boxes, strict=True)]

    def to_rings(self) -> list[list[NDArray[np.float64]]]:
        """The same for drawing: a closed polygon around each piece and each hole of each object, nothing between them.

        Returns
        -------
        list of N lists of float64 arrays, shape (K, 2)
            (row, column) vertices.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> ring = np.ones((5, 5), int)
        >>> ring[2, 2] = 0
        >>> [around, hole] = ns.Instances.from_labels(ring).to_rings()[0]
        >>> len(hole)
        4
        """
        self._need_plane("outlines")
        return [[ring + box[:2] for ring in rings(mask)] for mask, box in zip(self.masks, self.boxes, strict=True)]

    def to_coco(self, image_id: int = 1, first_id: int = 1) -> list[dict[str, Any]]:
        """COCO annotations with compressed run lengths, which keep overlaps (2-D only).

        Parameters
        ----------
        image_id : int
            The image they belong to.
        first_id : int
            Id of the first annotation; COCO wants them unique in a file.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> labels = np.zeros((6, 8), int)
        >>> labels[1:4, 1:4] = 1
        >>> labels[3:5, 5:7] = 2
        >>> annotation = ns.Instances.from_labels(labels).to_coco()[1]
        >>> annotation["bbox"], annotation["area"]
        ([5, 3, 2, 2], 4)
        """
        self._need_plane("COCO annotations")
        areas = self.areas
        return [
            {
                "id": first_id + index,
                "image_id": image_id,
                "category_id": int(self.classes[index]),
                "instance_id": int(self.ids[index]),
                "score": float(self.scores[index]),
                "bbox": [column, row, column_stop - column, row_stop - row],
                "area": int(areas[index]),
                "iscrowd": 0,
                "segmentation": {
                    "size": list(self.shape),
                    "counts": encode_counts(mask_to_counts(self.masks[index], (row, column), self.shape)),
                },
            }
            for index, (row, column, row_stop, column_stop) in enumerate(self.boxes.tolist())
        ]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Label image, for NumPy; see :meth:`to_labels`."""
        if copy is False:
            raise ValueError("a label image is made of the particles, so it is always a copy")
        return self.to_labels().astype(dtype or np.int32, copy=False)

    @property
    def ndim(self) -> int:
        """Number of axes of the label image."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.int32]:
        """Type of the label image."""
        return np.dtype(np.int32)

    def small_labels(self) -> NDArray[np.int32]:
        """Label image of some of the pixels, for a small picture; of a volume, of its middle slice.

        Returns
        -------
        int32 array
            ``to_labels()[::step, ::step]`` with the step of :func:`~napari_nanoseg.display.step_for`.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
        >>> truth.shape, truth.small_labels().shape
        ((768, 1024), (192, 256))
        """
        stack, plane = self.shape[:-2], self.shape[-2:]
        step = step_for(plane)
        labels = np.zeros([-(-size // step) for size in plane], np.int32)
        for index in np.argsort(self.scores, kind="stable"):
            box, mask = self._box(index), self.masks[index]
            for size, reach in zip(stack, box, strict=False):
                middle = size // 2 - reach.start
                mask = mask[middle] if 0 <= middle < len(mask) else np.zeros((0, 0), bool)
            if mask.size:
                (row, column) = (reach.start for reach in box[-2:])
                picked = mask[-row % step :: step, -column % step :: step]
                top, left = -(-row // step), -(-column // step)
                labels[top : top + picked.shape[0], left : left + picked.shape[1]][picked] = self.ids[index]
        return labels

    def _line(self) -> str:
        return f"{counted(len(self), 'particle')}, {extent(self.shape)}"

    def _rows(self) -> dict[str, Any]:
        rows: dict[str, Any] = {"particles": len(self)}
        if len(self):
            rows |= {"median diameter (px)": self.diameter(), "at the border": int(self.touches_border.sum())}
            if (self.scores != 1).any():
                rows["scores"] = f"{self.scores.min():.2f} to {self.scores.max():.2f}"
            if self.classes.any():
                rows["classes"] = ", ".join(map(str, np.unique(self.classes)))
        return rows

    def _picture(self) -> NDArray[np.uint8] | None:
        return coloured(self.small_labels())

    def add_to(
        self,
        viewer: Any,
        *,
        name: str = "particles",
        image: Any = None,
        table: DataFrame | None = None,
        **options: Any,
    ) -> Any:
        """Add the particles to a viewer of napari, as outlines on their image.

        Those that overlap are outlined in a layer of their own, since a labels layer shows only the upper ones; the
        layer remembers their whole masks and scores until somebody paints in it.

        Parameters
        ----------
        viewer : napari.Viewer
        name : str
            Name of the layer.
        image : Image, Volume, napari.layers.Image or Calibration, optional
            The image of the particles, or its pixel size. None: the uppermost image layer of the viewer that has the
            same shape; without one, the pixel size is not known.
        table : pandas.DataFrame, optional
            What :func:`napari_nanoseg.measure` made of the particles, for napari to show with them; by default their
            classes, scores and areas.
        **options
            Of napari's labels layer, such as ``visible=False``.

        Returns
        -------
        napari.layers.Labels

        Raises
        ------
        NanosegError
            When `viewer` is no viewer, the image is of another shape, or napari has no such option.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> from napari.components import ViewerModel
        >>> viewer = ViewerModel()  # in a window: napari.Viewer()
        >>> labels = np.zeros((32, 32), int)
        >>> labels[4:12, 4:12] = 1
        >>> ns.Instances.from_labels(labels).add_to(viewer).data.max()
        np.int32(1)
        """
        return add_particles(viewer, self._layer_data(name, image, table, viewer), self, options)

    def _layer_data(
        self, name: str, image: Any, table: DataFrame | None, viewer: Any = None, where: str = "add_to"
    ) -> LayerData:
        return particles_layer(self, place_for(image, self.shape, viewer, where), name, table)

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: int | slice | Sequence[int] | NDArray[Any]) -> Instances:
        """Return the chosen objects, with their ids; a single number gives one object."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return Instances(
            shape=self.shape,
            boxes=self.boxes[chosen],
            masks=tuple(self.masks[number] for number in chosen),
            scores=self.scores[chosen],
            classes=self.classes[chosen],
            ids=self.ids[chosen],
        )

    def planes(self) -> Iterator[Self]:
        """The slices of a stack one by one, each with the objects that reach into it, under their ids.

        Objects of an image (Y, X) are one plane.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> stack = np.zeros((3, 4, 4), int)
        >>> stack[:2, 1:3, 1:3] = 7
        >>> [plane.ids.tolist() for plane in ns.Instances.from_labels(stack).planes()]
        [[7], [7], []]
        """
        if len(self.shape) == 2:
            yield self
            return
        first, last = self.boxes[:, 0], self.boxes[:, 3]
        for number in range(self.shape[0]):
            here = np.flatnonzero((first <= number) & (number < last))
            yield self.from_masks(
                self.shape[1:],
                self.boxes[here][:, [1, 2, 4, 5]],
                [self.masks[index][number - first[index]] for index in here],
                self.scores[here],
                self.classes[here],
                self.ids[here],
            )

    @property
    def areas(self) -> NDArray[np.int64]:
        """Pixels (voxels) of each object.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> labels = np.zeros((6, 8), int)
        >>> labels[1:4, 1:4] = 1
        >>> labels[3:5, 5:7] = 2
        >>> ns.Instances.from_labels(labels).areas
        array([9, 4])
        """
        return np.array([np.count_nonzero(mask) for mask in self.masks], dtype=np.int64)

    @property
    def touches_border(self) -> NDArray[np.bool_]:
        """Whether each object reaches the edge of the image and may be cut off there.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> labels = np.zeros((6, 8), int)
        >>> labels[:3, 1:4] = 1
        >>> labels[3:5, 5:7] = 2
        >>> ns.Instances.from_labels(labels).touches_border
        array([ True, False])
        """
        ndim = len(self.shape)
        reaches = np.concatenate([self.boxes[:, :ndim] <= 0, self.boxes[:, ndim:] >= self.shape], axis=1)
        touching: NDArray[np.bool_] = np.any(reaches, axis=1)
        return touching

    @property
    def overlapping(self) -> bool:
        """Whether any pixel belongs to two objects."""
        taken = np.zeros(self.shape, dtype=bool)
        for index, mask in enumerate(self.masks):
            crop = taken[self._box(index)]
            if (crop & mask).any():
                return True
            crop |= mask
        return False

    @property
    def overlaps(self) -> NDArray[np.bool_]:
        """Whether each object shares pixels with another one.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> mask = np.ones((3, 3), bool)
        >>> boxes = [[0, 0, 3, 3], [2, 2, 5, 5], [5, 5, 8, 8]]
        >>> ns.Instances.from_masks((8, 8), boxes, [mask] * 3).overlaps
        array([ True,  True, False])
        """
        owners = np.zeros(self.shape, dtype=np.int32)
        for index, mask in enumerate(self.masks):
            owners[self._box(index)] += mask
        shared = [bool((owners[self._box(index)][mask] > 1).any()) for index, mask in enumerate(self.masks)]
        return np.array(shared, dtype=bool)

    def diameter(self) -> float:
        """Median diameter of the complete particles, in pixels.

        That of the circle (sphere) of the same area (volume). Particles that touch the border are left out, unless
        all do.

        Raises
        ------
        NanosegError
            When there is no particle.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
        >>> f"{truth.diameter():.1f} px"
        '54.7 px'
        """
        if not len(self):
            raise NanosegError("There is no particle to take a diameter from; outline at least one.")
        complete = ~self.touches_border
        areas = self.areas[complete] if complete.any() else self.areas
        ndim = len(self.shape)
        unit_ball = math.pi ** (ndim / 2) / math.gamma(ndim / 2 + 1)
        return float(np.median(2 * (areas / unit_ball) ** (1 / ndim)))

    def _box(self, index: int) -> tuple[slice, ...]:
        ndim = len(self.shape)
        return tuple(slice(a, b) for a, b in zip(self.boxes[index, :ndim], self.boxes[index, ndim:], strict=True))

    def _need_plane(self, what: str) -> None:
        if len(self.shape) != 2:
            raise NanosegError(f"A volume of shape {self.shape} has no {what}; take one slice of it.")


def _filled(values: ArrayLike | None, count: int, default: int, dtype: type[Any]) -> NDArray[Any]:
    """`values` as an array of `count`, or `default` repeated."""
    if values is None:
        return np.full(count, default, dtype=dtype)
    try:
        array = np.asarray(values, dtype=dtype)
    except (TypeError, ValueError):
        raise unsuitable("One of scores, classes and ids", values, "an array of numbers") from None
    if array.shape != (count,):
        raise NanosegError(f"{array.size} scores, classes or ids came for {count} objects; give one per object.")
    return array


def _tightened(
    mask: NDArray[Any], start: NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Cut `mask` (at `start`) to the image and to its own pixels; its new start."""
    low = np.clip(-start, 0, mask.shape)
    high = np.clip(np.asarray(shape) - start, low, mask.shape)
    inside = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(bool)
    span = []
    for axis in range(inside.ndim):
        filled = np.flatnonzero(inside.any(axis=tuple(other for other in range(inside.ndim) if other != axis)))
        span.append((int(filled[0]), int(filled[-1]) + 1) if filled.size else (0, 0))
    crop = inside[tuple(slice(a, b) for a, b in span)]
    return np.ascontiguousarray(crop), start + low + np.array([a for a, _ in span], dtype=np.int64)


def _coco_numbers(values: Sequence[Any], dtype: type[Any], name: str) -> NDArray[Any]:
    try:
        array = np.array(values, dtype=np.float64)
    except (ValueError, TypeError):
        array = np.array([np.nan])
    if not (np.abs(array) <= LARGEST_ID).all():
        raise NanosegError(f"A COCO annotation has a {name} that is not a number; export the annotations again.")
    return array.astype(dtype)


def _coco_mask(segmentation: Any, shape: tuple[int, ...], where: str) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Mask and its start (row, column) of one COCO segmentation."""
    try:
        if isinstance(segmentation, Mapping):
            if tuple(segmentation["size"]) != tuple(shape):
                raise NanosegError(
                    f"{where} is for an image of {segmentation['size']} rows and columns, not {list(shape)}; "
                    "choose the annotations of this image."
                )
            counts = segmentation["counts"]
            runs = decode_counts(counts) if isinstance(counts, str | bytes) else np.asarray(counts, dtype=np.int64)
            return mask_from_counts(runs, (shape[0], shape[1]))
        # COCO puts the origin at the corner of the first pixel, we at its centre
        rings = [np.reshape(np.asarray(ring, dtype=float), (-1, 2))[:, ::-1] - 0.5 for ring in segmentation]
        if not rings:
            raise ValueError("no outline")
        parts = [rasterise(ring, shape) for ring in rings]
        starts = np.array([start for _, start in parts])
        stops = starts + [mask.shape for mask, _ in parts]
        top, left = starts.min(axis=0)
        canvas = np.zeros(stops.max(axis=0) - (top, left), dtype=bool)
        for (mask, _), (row, column), (end, right) in zip(parts, starts, stops, strict=True):
            canvas[row - top : end - top, column - left : right - left] |= mask
        return canvas, (int(top), int(left))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise NanosegError(f"{where} has no readable segmentation; export it as polygons or run lengths.") from error
