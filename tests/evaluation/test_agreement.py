"""Agreement of sizes, shapes and directions: shifts that are known, pairs, and inputs of which little is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_nanoseg import (
    Calibration,
    EvaluateConfig,
    Instances,
    NanosegError,
    agreement,
    evaluate,
    measure,
    pool_agreement,
)
from napari_nanoseg.evaluation.agreement import QUANTITIES, common_unit
from napari_nanoseg.evaluation.agreement_figure import agreement_figure
from napari_nanoseg.evaluation.figures import AGREEMENT

NUMBERS = tuple(name for name in AGREEMENT if name not in ("unit", "n_truth", "n_prediction", "pairs"))


def bars(lengths, width=6, wider=0, upright=False, size=200):
    """Rectangles `width` high and as long as told, one below the other, clear of the border."""
    labels = np.zeros((size, size), np.int32)
    for number, length in enumerate(lengths, start=1):
        top = 12 * (number - 1) + 3
        labels[top : top + width, 20 : 20 + length + wider] = number
    return labels.T.copy() if upright else labels


LENGTHS = (12, 20, 28, 33, 41, 50, 64)


def test_equal_particles_agree():
    for found in agreement(bars(LENGTHS), bars(LENGTHS)).values():
        figures = found.figures()
        assert list(figures) == list(AGREEMENT)
        assert (figures["ks"], figures["p_value"], figures["wasserstein"]) == (0, 1, 0)
        assert (figures["bias"], figures["spread"], figures["pairs"]) == (0, 0, 7)
        assert figures["median_truth"] == figures["median_prediction"]


def test_longer_particles_are_as_far_as_they_are_longer():
    found = agreement(bars(LENGTHS), bars(LENGTHS, wider=2), calibration=Calibration.of(3.0))
    area, ratio, turned = (found[name].figures() for name in ("area", "aspect_ratio", "orientation_deg"))
    assert (area["unit"], ratio["unit"], found["feret_max"].unit, turned["unit"]) == ("nm²", "", "nm", "°")
    assert area["wasserstein"] == pytest.approx(2 * 6 * 9)
    assert area["bias"] == pytest.approx(2 * 6 * 9)
    assert area["lower_limit"] == area["upper_limit"] == pytest.approx(2 * 6 * 9)
    assert ratio["wasserstein"] == pytest.approx(2 / 6)
    assert area["median_truth"] == 33 * 6 * 9
    assert area["ks"] == pytest.approx(1 / 7)
    assert (turned["wasserstein"], turned["bias"]) == (0, 0)


def test_bars_turned_by_90_degrees():
    figures = agreement(bars(LENGTHS), bars(LENGTHS, upright=True))["orientation_deg"].figures()
    assert (figures["median_truth"], figures["median_prediction"]) == (0, 90)
    assert (figures["ks"], figures["wasserstein"]) == (1, pytest.approx(90))


def test_bias_and_spread_are_of_pairs_alone():
    truth, prediction = bars(LENGTHS), bars(LENGTHS, wider=2)
    prediction[truth == 3], prediction[prediction == 3] = 0, 0
    prediction[180:190, 100:190] = 40
    prediction[prediction == 2] = 0
    prediction[15:21, 20:36] = 30  # four shorter instead of two longer
    found = agreement(truth, prediction)["area"]
    figures, matched = found.figures(), evaluate(truth, prediction)
    differences = np.array([12, -24, 12, 12, 12, 12], float)
    assert (figures["n_truth"], figures["n_prediction"], figures["pairs"]) == (7, 7, matched.true_positives)
    assert figures["bias"] == pytest.approx(differences.mean())
    assert figures["spread"] == pytest.approx(differences.std(ddof=1))
    assert figures["upper_limit"] - figures["lower_limit"] == pytest.approx(2 * 1.96 * differences.std(ddof=1))
    strict = agreement(truth, prediction, EvaluateConfig(iou_threshold=0.9))["area"]
    assert strict.figures()["pairs"] < 6
    assert strict.figures()["wasserstein"] == figures["wasserstein"]


def test_particles_at_the_border_are_left_out_unless_asked_for():
    truth = bars(LENGTHS)
    truth[:3, 100:120] = 9
    assert agreement(truth, truth)["area"].figures()["n_truth"] == 7
    every = agreement(truth, truth, EvaluateConfig(exclude_border=False))["area"].figures()
    assert (every["n_truth"], every["pairs"]) == (8, 8)


def test_only_long_particles_have_an_orientation():
    truth = bars((6, 7, *LENGTHS))
    found = agreement(truth, truth)
    assert (len(found["orientation_deg"].truth), len(found["area"].truth)) == (8, 9)
    every = agreement(truth, truth, EvaluateConfig(least_aspect_ratio=1))["orientation_deg"]
    assert every.figures()["pairs"] == 9


def test_overlapping_particles_are_measured_whole():
    boxes, masks = [(10, 10, 20, 40), (5, 20, 35, 30)], [np.ones((10, 30), bool), np.ones((30, 10), bool)]
    crossed = Instances.from_masks((50, 50), boxes, masks)
    figures = agreement(crossed, crossed[[1, 0]])["area"].figures()
    assert (figures["median_truth"], figures["bias"], figures["pairs"]) == (300, 0, 2)


def test_images_are_pooled_and_stacks_go_slice_by_slice():
    truths, predictions = (bars(LENGTHS), bars((15, 25))), (bars(LENGTHS, wider=1), bars((18,)))
    pooled = pool_agreement(agreement(*pair) for pair in zip(truths, predictions, strict=True))
    stacked = agreement(np.stack(truths), np.stack(predictions))
    tables = [pd.concat([measure(image) for image in side]) for side in (truths, predictions)]
    for name, found in pooled.items():
        assert found.figures() == stacked[name].figures()
        from_tables = agreement(*tables)[name].figures()
        assert from_tables["pairs"] == 0
        for figure in ("n_truth", "median_prediction", "ks", "p_value", "wasserstein"):
            assert from_tables[figure] == found.figures()[figure]
    assert pooled["area"].figures()["pairs"] == 8
    in_nm = agreement(truths[0], truths[0], calibration=Calibration.of(2.0))
    for several in ([], [in_nm, stacked]):
        with pytest.raises(NanosegError, match="one pixel size"):
            pool_agreement(several)


@pytest.mark.parametrize(
    ("truth", "prediction", "defined"),
    [
        ((), (), ()),
        (LENGTHS, (), ("median_truth",)),
        ((), (30,), ("median_prediction",)),
        ((30,), (30,), ("median_truth", "median_prediction", "ks", "p_value", "wasserstein", "bias")),
        ((30,) * 5, (30,) * 5, NUMBERS),
        ((30,), (40,) * 9, ("median_truth", "median_prediction", "ks", "p_value", "wasserstein", "bias")),
    ],
)
def test_where_little_is_left_figures_are_none(truth, prediction, defined):
    found = agreement(bars(truth), bars(prediction))
    for name in QUANTITIES:
        figures = found[name].figures()
        assert [figure for figure in NUMBERS if figures[figure] is not None] == list(defined), name
    figure = agreement_figure(found)
    figure.canvas.draw()
    said = figure.axes[0].get_title()
    assert ("particle" in said) == (not truth or not prediction)


def test_tables_of_which_one_is_not_calibrated_are_compared_in_pixels():
    labels = bars(LENGTHS)
    found = agreement(measure(labels, Calibration.of(2.0)), measure(labels))
    assert (found["area"].unit, found["area"].figures()["wasserstein"]) == ("px²", 0)
    both = agreement(*[measure(labels, Calibration.of(2.0))] * 2)
    assert both["feret_max"].unit == "nm"


def test_bad_input_is_one_sentence():
    labels = bars(LENGTHS)
    with pytest.raises(NanosegError, match="One of the two is a table"):
        agreement(measure(labels), labels)
    with pytest.raises(NanosegError, match="no column 'feret_max'"):
        agreement(measure(labels), measure(labels).drop(columns="feret_max"))
    with pytest.raises(NanosegError, match="shape"):
        agreement(labels, labels[1:])
    with pytest.raises(NanosegError, match="not square"):
        agreement(labels, labels, calibration=Calibration((1.0, 2.0)))
    with pytest.raises(NanosegError, match="'area' holds something else than numbers"):
        agreement(measure(labels), measure(labels).assign(area="large"))
    gaps = measure(labels).assign(area=np.nan)
    assert agreement(gaps, measure(labels))["area"].figures()["wasserstein"] is None


def test_images_share_one_unit():
    known, unknown, oblong = Calibration.of(2.0), Calibration(), Calibration((1.0, 2.0))
    assert common_unit({"a": known, "b": Calibration.of(5.0)})[1] is None
    assert common_unit({"a": unknown, "b": unknown}) == ({"a": unknown, "b": unknown}, None)
    for other, sentence in ((unknown, "of b is not known"), (oblong, "not square")):
        sizes, said = common_unit({"a": known, "b": other})
        assert sizes == {"a": unknown, "b": unknown}
        assert sentence in said


def test_the_figure_has_a_panel_for_each_quantity_and_micrometres_for_large_particles():
    figure = agreement_figure(agreement(bars(LENGTHS), bars(LENGTHS[1:]), calibration=Calibration.of(100.0)))
    assert [axes.get_xlabel() for axes in figure.axes[:5]] == [
        "Area (µm²)", "Aspect ratio", "Orientation (°)", "Equivalent diameter (µm)", "Feret max (µm)",
    ]  # fmt: skip
    for axes, lines in zip(figure.axes[:5], (2, 2, 2, 2, 2), strict=True):
        assert len(axes.lines) == lines
    assert figure.axes[2].get_title().startswith("Kuiper 0, W 0°")
    legend = [text.get_text() for text in figure.axes[5].get_legend().get_texts()]
    assert legend == ["true, 7", "predicted, 6"]


def test_the_docs_define_every_figure():
    page = (Path(__file__).parents[2] / "docs" / "measuring.md").read_text("utf-8")
    page = page[page.index("### Agreement of sizes and shapes") :]
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    documented = {row[1].strip(" `"): row[2].strip().replace("`", "") for row in rows}
    assert documented == {name: figure.meaning for name, figure in AGREEMENT.items()}
