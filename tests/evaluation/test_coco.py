"""COCO's average precision by hand, and against its own definition written out and faster-coco-eval on run lengths."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nanoseg import Calibration, Instances, NanosegError, evaluate
from napari_nanoseg.evaluation.coco import BOX_FIGURES, COCO_THRESHOLDS, LEAST_IOU, MASK_FIGURES, box_ious
from napari_nanoseg.evaluation.matching import pool

SHAPE = (40, 60)
RECALLS = np.linspace(0, 1, 101)


def squares(boxes, scores=None, classes=None, shape=SHAPE):
    masks = [np.ones((r1 - r0, c1 - c0), bool) for r0, c0, r1, c1 in boxes]
    return Instances.from_masks(shape, np.array(boxes).reshape(-1, 4), masks, scores, classes)


def figures(*pairs, **limits):
    return pool([evaluate(*pair, **limits) for pair in pairs]).figures()


FOUR = [(0, 0, 10, 10), (0, 20, 10, 30), (20, 0, 30, 10), (20, 20, 30, 30)]
TRUTH = squares(FOUR)
EMPTY = Instances.empty(SHAPE)


def test_the_truth_itself_has_all():
    found = figures((TRUTH, squares(FOUR, [0.9, 0.8, 0.7, 0.6])))
    assert all(found[name] == pytest.approx(1) for name in ("ap", "ap50", "ap75", "box_ap", "ap_small", "box_ap_small"))
    assert all(found[name] is None for name in ("ap_medium", "ap_large", "box_ap_medium", "box_ap_large"))


def test_one_missed():
    # precision 1 up to a recall of 0.75: 76 of the 101 recalls
    assert figures((TRUTH, squares(FOUR[:3], [0.9, 0.8, 0.7])))["ap"] == pytest.approx(76 / 101)


def test_by_hand():
    # right, wrong, right, in this order of scores; two of four are not found
    found = squares([FOUR[1], (30, 40, 40, 50), FOUR[0]], [0.9, 0.8, 0.7])
    # precision 1 up to a recall of 0.25 (26 of the 101 recalls), 2/3 up to 0.5 (25), then 0
    assert figures((TRUTH, found))["ap50"] == pytest.approx((26 + 25 * 2 / 3) / 101)


def test_only_the_order_of_scores_counts_and_over_all_images():
    right, wrong = squares(FOUR, [0.4] * 4), squares([(30, 40, 40, 50)], [0.3])
    assert figures((TRUTH, right), (EMPTY, wrong))["ap50"] == pytest.approx(1.0)
    assert figures((TRUTH, right), (EMPTY, squares([(30, 40, 40, 50)], [0.5])))["ap50"] == pytest.approx(0.8)


def test_a_duplicate_is_wrong_and_the_surest_is_right():
    truth = squares([(0, 0, 10, 10)])
    twice = figures((truth, squares([(0, 0, 10, 9), (0, 0, 10, 10)], [0.9, 0.8])))
    # up to 0.9 the surer one is right; at 0.95 it is wrong, so the other is right at a precision of one half
    assert twice["ap"] == pytest.approx((9 + 0.5) / 10)
    truth = squares(FOUR[:2])
    again = squares([FOUR[0], FOUR[0], FOUR[1]], [0.9, 0.8, 0.7])
    assert figures((truth, again))["ap"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_overlapping_masks_are_whole_masks():
    boxes = [(0, 0, 20, 20), (0, 10, 20, 30), (5, 5, 15, 25)]
    assert figures((squares(boxes), squares(boxes, [0.9, 0.8, 0.7])))["ap"] == pytest.approx(1)
    nested = [(0, 0, 10, 10), (0, 0, 10, 8)]
    assert figures((squares(nested), squares(nested, [0.9, 0.8])))["ap"] == pytest.approx(1)


def test_boxes_are_right_where_masks_are_not():
    ring = np.ones((10, 10), bool)
    ring[2:8, 2:8] = False
    found = Instances.from_masks(SHAPE, [(0, 0, 10, 10)], [ring], [0.9])
    values = figures((squares([(0, 0, 10, 10)]), found))
    assert (values["ap50"], values["ap75"]) == (pytest.approx(1), 0)  # IoU 0.64
    assert (values["ap"], values["box_ap"]) == (pytest.approx(0.3), pytest.approx(1))


def test_sizes_are_split_at_the_limits():
    truth = squares([(0, 0, 5, 5), (0, 20, 20, 40)])
    found = squares([(0, 0, 5, 5), (30, 0, 36, 6), (20, 40, 40, 60)], [0.7, 0.9, 0.8])
    # the large ones leave the small ones alone: one right below a surer wrong one
    small = figures((truth, found), size_limits=(10, 15))
    assert (small["ap_small"], small["ap_medium"], small["ap_large"]) == (pytest.approx(0.5), None, 0)
    # on a limit a particle is both
    both = figures((truth, found), size_limits=(5, 20))
    assert (both["ap_small"], both["ap_medium"], both["ap_large"]) == (pytest.approx(1), pytest.approx(17 / 101), 0)
    assert figures((truth, found), size_limits=(20, 30), calibration=Calibration.of(2.0)) == small | {
        name: value for name, value in small.items() if "ap" not in name
    }


def test_no_detection_is_left_out_unless_asked():
    boxes = [(2 * row, 2 * column, 2 * row + 2, 2 * column + 2) for row in range(20) for column in range(30)]
    found = squares(boxes, np.linspace(0.9, 0.1, len(boxes)))
    assert figures((squares(boxes), found))["ap"] == pytest.approx(1)
    limited = figures((squares(boxes), found), (squares(boxes), found), max_detections=300)
    assert limited["ap"] == limited["box_ap"] == pytest.approx(51 / 101)


def test_classes_count_when_both_know_them():
    wrong = squares(FOUR, [0.9, 0.8, 0.7, 0.6], [1, 2, 2, 2])
    assert figures((squares(FOUR, classes=[1, 1, 2, 2]), wrong))["ap"] == pytest.approx((51 / 101 + 2 / 3) / 2)
    assert figures((TRUTH, wrong))["ap"] == pytest.approx(1)
    assert figures((squares(FOUR, classes=[1, 1, 2, 2]), squares(FOUR, [0.5] * 4)))["ap"] == pytest.approx(1)


def test_nothing_there_nothing_found_and_no_scores():
    names = {*MASK_FIGURES, *BOX_FIGURES}
    scored = squares(FOUR, [0.5] * 4)
    assert {figures((EMPTY, scored))[name] for name in names} == {None}
    assert {figures((EMPTY, EMPTY))[name] for name in names} == {None}
    nothing = figures((TRUTH, EMPTY))
    assert (nothing["ap"], nothing["box_ap50"], nothing["ap_small"], nothing["ap_large"]) == (0, 0, 0, None)
    assert {figures((TRUTH, TRUTH))[name] for name in names} == {None}
    assert {figures((TRUTH, TRUTH), (TRUTH, EMPTY))[name] for name in names} == {None}
    assert figures((TRUTH, TRUTH), (TRUTH, scored))["ap"] == pytest.approx(1)
    for limits in ((0, 5), (5, 4), (float("nan"), 4)):
        with pytest.raises(NanosegError, match="size limits"):
            evaluate(TRUTH, TRUTH, size_limits=limits)
    with pytest.raises(NanosegError, match="pixel size"):
        evaluate(TRUTH, TRUTH, calibration=Calibration())


def test_a_volume_has_an_average_precision_too():
    truth = Instances.from_labels(np.kron(np.arange(8).reshape(2, 2, 2), np.ones((4, 4, 4), int)))
    found = Instances.from_labels(truth.to_labels(), scores=np.linspace(0.9, 0.5, 7))
    values = figures((truth, found), size_limits=(4, 5))
    assert [values[name] for name in ("ap", "box_ap", "ap_small", "ap_large")] == [pytest.approx(1)] * 3 + [None]


rectangles = st.lists(
    st.builds(
        lambda row, column, height, width: (row, column, row + height, column + width),
        st.integers(0, 12), st.integers(0, 12), st.integers(1, 9), st.integers(1, 9),
    ),
    max_size=7,
)  # fmt: skip
pictures = st.lists(st.tuples(rectangles, rectangles), min_size=1, max_size=3)


@settings(deadline=None, max_examples=60)
@given(pictures, st.integers(0, 2**31))
def test_any_rectangles_agree_with_the_definition_and_with_the_library(pictures, seed):
    rng = np.random.default_rng(seed)
    pairs = [
        (
            squares(true, classes=rng.integers(1, 3, len(true)), shape=(24, 24)),
            squares(found, rng.integers(1, 6, len(found)) / 6, rng.integers(1, 3, len(found)), shape=(24, 24)),
        )
        for true, found in pictures
    ]
    limits = (2.5, 4.6)
    ours = figures(*pairs, size_limits=limits)
    ranges = [(0, 1e9), (0, limits[0]), limits, (limits[1], 1e9)]
    if all(any(side.classes.any() for side in sides) for sides in zip(*pairs, strict=True)):
        written_out = [definition(pairs, size) for size in ranges]
        expected = [mean(written_out[0]), mean(written_out[0][:, :1]), mean(written_out[0][:, 5:6])]
        expected += [mean(values) for values in written_out[1:]]
        assert [ours[name] for name in MASK_FIGURES] == pytest.approx(expected)
        masks = library(pairs, "segm", ranges)
        assert [ours[name] for name in MASK_FIGURES] == pytest.approx(masks)
        assert [ours[name] for name in BOX_FIGURES] == pytest.approx(library(pairs, "bbox", ranges))


def mean(values):
    values = values[values >= 0]
    return values.mean() if values.size else None


def definition(pairs, size):
    """AP (class, threshold) by COCO's paper procedure on whole masks, plain and slow; -1 without a true particle."""
    values = []
    for label in sorted({int(label) for truth, _ in pairs for label in truth.classes}):
        for threshold in COCO_THRESHOLDS:
            verdicts, count = [], 0
            for truth, found in pairs:
                true = [whole(truth, i) for i in range(len(truth)) if truth.classes[i] == label]
                count += sum(in_range(mask, size) for mask in true)
                free = [True] * len(true)
                some = [i for i in range(len(found)) if found.classes[i] == label]
                for index in sorted(some, key=lambda i: -found.scores[i]):
                    mask, best, most = whole(found, index), None, threshold
                    for counting in (True, False):  # a true particle outside the range is a last resort
                        for number, other in enumerate(true):
                            iou = (mask & other).sum() / (mask | other).sum()
                            if free[number] and in_range(other, size) is counting and iou >= most:
                                best, most = number, iou
                        if best is not None:
                            break
                    if best is None:
                        if in_range(mask, size):
                            verdicts.append((found.scores[index], False))
                        continue
                    free[best] = False
                    if in_range(true[best], size):
                        verdicts.append((found.scores[index], True))
            values.append(-1.0 if not count else area_under(verdicts, count))
    return np.array(values).reshape(-1, len(COCO_THRESHOLDS))


def whole(instances, index):
    canvas = np.zeros(instances.shape, bool)
    canvas[instances._box(index)] = instances.masks[index]
    return canvas


def in_range(mask, size):
    return bool(size[0] <= np.sqrt(mask.sum()) <= size[1])


def area_under(verdicts, count):
    right = np.cumsum([verdict for _, verdict in sorted(verdicts, key=lambda one: -one[0])])
    precision = right / np.arange(1, len(right) + 1)
    return np.mean([max(precision[right / count >= recall - 1e-12], default=0.0) for recall in RECALLS])


def library(pairs, kind, ranges):
    """faster-coco-eval as its users call it: run lengths and boxes of whole images, as after reading JSON."""
    from faster_coco_eval import COCO, COCOeval_faster

    images = [{"id": number, "height": 24, "width": 24} for number in range(1, len(pairs) + 1)]
    sides = []
    for side in zip(*pairs, strict=True):
        rows = []
        for number, instances in enumerate(side, start=1):
            rows += instances.to_coco(number, len(rows) + 1)
        sides.append(json.loads(json.dumps(rows)))
    classes = [{"id": number, "name": str(number)} for number in (1, 2)]
    data = [COCO({"images": images, "annotations": rows, "categories": classes}) for rows in sides]
    judge = COCOeval_faster(*data, kind, print_function=lambda *_: None)
    judge.params.maxDets = [100]
    judge.params.areaRng = [[low**2, high**2] for low, high in ranges]
    judge.params.areaRngLbl = list("asml")
    judge.evaluate()
    judge.accumulate()
    precision = judge.eval["precision"][..., 0]
    values = [mean(precision[some, :, :, 0]) for some in (slice(None), slice(0, 1), slice(5, 6))]
    return values + [mean(precision[..., size]) for size in (1, 2, 3)]


def test_ious_of_boxes_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 30, (40, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 20, (40, 2))], axis=1)
    whole_table = box_ious(boxes[:25], boxes[25:]).toarray()
    monkeypatch.setattr("napari_nanoseg.evaluation.coco.BLOCK", 40)
    assert np.array_equal(box_ious(boxes[:25], boxes[25:]).toarray(), whole_table)
    assert np.array_equal(np.diag(box_ious(boxes, boxes).toarray()), np.ones(40))
    assert whole_table[whole_table > 0].min() >= LEAST_IOU
    assert box_ious(boxes, boxes[:0]).shape == (40, 0)
