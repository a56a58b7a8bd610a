from __future__ import annotations

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QLineEdit, QScrollArea

from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.numbers import Limits, NumberEdit
from napari_nanoseg.config.base import Config
from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.config.jobs import JOBS
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.measure import MeasureConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.errors import NanosegError


def _all_configs(kind: type[Config] = Config) -> set[type[Config]]:
    below = {one for one in kind.__subclasses__() if one.__module__.startswith("napari_nanoseg")}
    return below | {deeper for one in below for deeper in _all_configs(one)}


def _strategy(annotation: Any, metadata: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Values of a type inside the limits of its metadata."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        found = [one for item in more for one in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return _strategy(inner, (*metadata, *found))
    if get_origin(annotation) in (Union, types.UnionType):
        return st.one_of(*(_strategy(kind, metadata) for kind in get_args(annotation)))
    if get_origin(annotation) is tuple:
        kinds = get_args(annotation)
        if kinds[1:] == (...,):
            return st.lists(_strategy(kinds[0]), max_size=4).map(tuple)
        numbers = all(isinstance(kind, type) or get_origin(kind) is Annotated for kind in kinds)
        return st.tuples(*(_strategy(kind) for kind in kinds)).map(
            lambda pair: tuple(sorted(pair)) if numbers else pair
        )
    if get_origin(annotation) is dict:
        return st.sampled_from([{"seed": (1, 2)}, {"scale": ((0.5, 1.5), None), "batch_size": (2,)}])
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return _configs(annotation)
    limits = Limits.of(metadata)
    if annotation is int:
        return st.integers(limits.low, limits.high)
    if annotation is float:
        return st.floats(limits.low, limits.high, exclude_min=limits.above, exclude_max=limits.below,
                         allow_nan=False, allow_infinity=False)  # fmt: skip
    if annotation is str:
        return st.sampled_from(["auto", "cpu", "cuda:1"]) if metadata else st.text(max_size=9)
    return {bool: st.booleans(), Path: st.text(max_size=9).map(Path), type(None): st.none()}[annotation]


def _configs(kind: type[Config]) -> st.SearchStrategy[Config]:
    def make(values: dict[str, Any]) -> Config | None:
        try:
            return kind.model_validate(values)
        except ValidationError:
            return None

    fields = {name: _strategy(field.annotation, tuple(field.metadata)) for name, field in kind.model_fields.items()}
    made = st.fixed_dictionaries({}, optional=fields) if _complete(kind) else st.fixed_dictionaries(fields)
    return made.map(make).filter(lambda config: config is not None)


def _complete(kind: type[Config]) -> bool:
    return not any(field.is_required() for field in kind.model_fields.values())


# a model card is written by a training, never by a person
CONFIGS = sorted(_all_configs() - {ModelCard}, key=lambda kind: kind.__name__)


def test_that_all_jobs_are_among_the_tested_configs() -> None:
    assert set(JOBS.values()) < set(CONFIGS)
    assert {TrainConfig, SegmentConfig, CutPasteConfig, MeasureConfig} < set(CONFIGS)


@pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("unfolded", [False, True])
def test_that_a_form_gives_back_what_it_was_given(qtbot: QtBot, kind: type[Config], unfolded: bool) -> None:
    form = ConfigForm(kind)
    qtbot.addWidget(form)
    if unfolded:
        form.unfold()

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(config=_configs(kind))
    def check(config: Config) -> None:
        form.setValue(config)
        assert form.value() == config
        assert form.problem() is None
        assert type(form.value()) is kind

    check()


@pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.__name__)
def test_that_a_new_form_holds_the_defaults(qtbot: QtBot, kind: type[Config]) -> None:
    form = ConfigForm(kind)
    qtbot.addWidget(form)
    form.unfold()
    if _complete(kind):
        assert form.value() == kind()
    else:
        with pytest.raises(NanosegError, match="missing; give it a value"):
            form.value()


@pytest.mark.parametrize("number", [0.1, 1 / 3, 5e-324, 1e300, 2.5e-7, 123456.789012345])
def test_that_typed_numbers_are_exact(qtbot: QtBot, number: float) -> None:
    form = ConfigForm(MeasureConfig(pixel_size_nm=1.0))
    qtbot.addWidget(form)
    _line(form, "pixel_size_nm").setText(repr(number))
    assert form.value() == MeasureConfig(pixel_size_nm=number)


def test_that_a_seed_may_have_32_bits_and_all_steps_are_one(qtbot: QtBot) -> None:
    form = ConfigForm(CutPasteConfig(seed=2**32 - 2))
    qtbot.addWidget(form)
    box = form.editor("seed").findChild(NumberEdit)
    qtbot.keyClick(box, Qt.Key.Key_Up)
    assert form.value().seed == 2**32 - 1
    qtbot.keyClick(box, Qt.Key.Key_Up)
    assert form.value().seed == 2**32 - 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("abc", "'Noise' is 'abc': it must be a number."),
        ("", "'Noise' is '': it must be a number."),
        ("2", "'Noise' is 2.0: it must be at most 1.0."),
        ("0,5", "'Noise' is '0,5': it must be a number."),
        ("nan", "'Noise' is nan: it must be a finite number."),
    ],
)
def test_that_what_is_no_number_is_marked_and_refused(qtbot: QtBot, text: str, said: str) -> None:
    form = ConfigForm(TrainConfig)
    qtbot.addWidget(form)
    form.unfold()
    with qtbot.waitSignal(form.valueChanged):
        _line(form, "noise").setText(text)
    assert form.problem() == said
    assert form.editor("noise").styleSheet()
    with pytest.raises(NanosegError) as refused:
        form.value()
    assert str(refused.value) == said
    _line(form, "noise").setText("0.5")
    assert form.problem() is None
    assert not form.editor("noise").styleSheet()
    assert form.value() == TrainConfig(noise=0.5)


def test_that_a_rule_about_several_fields_is_told_in_labels_and_marks_them(qtbot: QtBot) -> None:
    form = ConfigForm(CutPasteConfig)
    qtbot.addWidget(form)
    form.editor("scale").findChildren(QLineEdit)[0].setText("3")
    assert form.problem() == "The range 'Magnification' begins at 3 and ends at 1.4; swap the two."
    assert form.editor("scale").styleSheet()


def test_that_problems_of_a_nested_config_name_the_way_to_it(qtbot: QtBot) -> None:
    form = ConfigForm(TrainConfig)
    qtbot.addWidget(form)
    form.unfold()
    _line(form, "synthetic.width").setText("7")
    assert form.problem() == "'Synthetic patches: Width' is 7: it must be at least 32."
    _line(form, "synthetic.width").setText("64")
    assert form.value().synthetic.width == 64


def test_that_hidden_fields_keep_their_value(qtbot: QtBot) -> None:
    form = ConfigForm(TrainConfig(steps=7), hide={"steps", "synthetic.width"})
    qtbot.addWidget(form)
    form.unfold()
    with pytest.raises(KeyError):
        form.editor("synthetic.width")
    assert form.value() == TrainConfig(steps=7)


def test_that_setting_a_value_is_told_once_and_only_when_it_is_another(qtbot: QtBot) -> None:
    form = ConfigForm(TrainConfig)
    qtbot.addWidget(form)
    form.unfold()
    told: list[Config] = []
    form.valueChanged.connect(lambda: told.append(form.value()))
    other = TrainConfig(steps=9, diameter=12.5, synthetic={"seed": 4})
    form.setValue(other)
    form.setValue(other)
    assert told == [other]


def test_an_optional_value_is_switched_on_and_off(qtbot: QtBot) -> None:
    form = ConfigForm(TrainConfig)
    qtbot.addWidget(form)
    form.placeholder("diameter", "57 px, from the annotation")
    check = form.editor("diameter").findChild(QCheckBox)
    check.click()
    assert form.value().diameter == 57.0  # begins with what is meant anyway
    _line(form, "diameter").setText("31.5")
    check.click()
    assert form.value().diameter is None
    check.click()
    assert form.value().diameter == 31.5


@pytest.mark.parametrize("field", ["particles_per_image", "size_median_nm", "coverage"])
def test_that_every_optional_value_begins_with_something_valid(qtbot: QtBot, field: str) -> None:
    config = CutPasteConfig(particles_per_image=(1, 2), coverage=None) if field == "coverage" else CutPasteConfig()
    form = ConfigForm(config)
    qtbot.addWidget(form)
    form.unfold()
    form.editor(field).findChild(QCheckBox).click()
    assert getattr(form.value(), field) is not None


def test_that_lists_of_choices_keep_order_and_duplicates_until_one_is_toggled(qtbot: QtBot) -> None:
    config = CutPasteConfig(backgrounds=("quilted", "flat", "quilted"))
    form = ConfigForm(config)
    qtbot.addWidget(form)
    form.unfold()
    assert form.value() == config
    checks = {check.text(): check for check in form.editor("backgrounds").findChildren(QCheckBox)}
    assert [name for name, check in checks.items() if check.isChecked()] == ["flat", "quilted"]
    checks["inpainted"].click()
    assert form.value().backgrounds == ("quilted", "flat", "quilted", "inpainted")
    checks["quilted"].click()
    assert form.value().backgrounds == ("flat", "inpainted")
    checks["flat"].click()
    checks["inpainted"].click()
    assert "Backgrounds" in (form.problem() or "")


def test_a_list_of_numbers_is_a_line(qtbot: QtBot) -> None:
    form = ConfigForm(CutPasteConfig)
    qtbot.addWidget(form)
    form.unfold()
    _line(form, "max_overlap").setText("0.1, 0.30000000000000004 ,1e-3")
    assert form.value().max_overlap == (0.1, 0.30000000000000004, 0.001)
    _line(form, "max_overlap").setText("0.1; 0.2")
    assert form.problem() == "'Largest overlaps' is '0.1; 0.2': it must be a number."


def test_paths(qtbot: QtBot, tmp_path: Path) -> None:
    form = ConfigForm(EvaluateJob)
    qtbot.addWidget(form)
    assert form.problem() == "'Truth' is missing; give it a value."
    form.editor("truth").findChild(QLineEdit).setText(str(tmp_path))
    form.editor("prediction").findChild(QLineEdit).setText("~/x")
    job = form.value()
    assert (job.truth, job.prediction, job.out) == (tmp_path, Path.home() / "x", None)


def test_that_a_home_of_nobody_is_a_path(qtbot: QtBot) -> None:
    form = ConfigForm(EvaluateJob)
    qtbot.addWidget(form)
    for field in ("truth", "prediction"):
        form.editor(field).findChild(QLineEdit).setText("~nobody at all/x")
    assert form.value().truth == Path("~nobody at all/x")


def test_that_the_wheel_scrolls_the_dock_and_changes_nothing(qtbot: QtBot) -> None:
    area = QScrollArea()
    form = ConfigForm(TrainConfig)
    area.setWidget(form)
    area.setWidgetResizable(True)
    qtbot.addWidget(area)
    area.show()
    for widget in (form.editor("steps").findChild(NumberEdit), form.editor("device").findChild(QComboBox)):
        QApplication.sendEvent(widget, _wheel())
    assert form.value() == TrainConfig()
    assert not form.editor("steps").findChild(NumberEdit).hasFocus()


@pytest.mark.parametrize(
    ("kind", "limits", "start", "up", "down"),
    [
        (int, Limits(1, 10**7), 1500, 1600, 1400),
        (int, Limits(1), 4, 5, 3),
        (int, Limits(4), 4, 5, 4),
        (float, Limits(0, 1), 0.3, 0.31, 0.29),
        (float, Limits(0, 1), 1.0, 1.0, 0.99),
        (float, Limits(0, 1, above=True), 0.003, 0.0031, 0.0029),
        (float, Limits(0, above=True), 0.1, 0.11, 0.099),
        (float, Limits(0, 1), 0.0, 0.1, 0.0),
        (float, Limits(-360, 360), -90.0, -89.0, -91.0),
    ],
)
def test_steps_of_the_arrows(qtbot: QtBot, kind: Any, limits: Limits, start: Any, up: Any, down: Any) -> None:
    box = NumberEdit(kind, limits)
    qtbot.addWidget(box)
    for steps, expected in ((1, up), (-1, down)):
        box.put(start)
        box.stepBy(steps)
        assert box.get() == expected


def test_labels_units_and_tooltips(qtbot: QtBot) -> None:
    form = ConfigForm(SegmentConfig)
    qtbot.addWidget(form)
    form.unfold()
    tooltip = form.editor("tile").toolTip()
    assert "Side of the tiles" in tooltip
    assert "from 128 to 16,384 px" in tooltip
    assert "Default: 1024 px" in tooltip
    assert form.editor("tile").focusProxy().accessibleName() == "Tile (px)"


def test_that_every_field_is_reached_by_keyboard(qtbot: QtBot) -> None:
    form = ConfigForm(TrainConfig)
    qtbot.addWidget(form)
    form.unfold()
    for name in TrainConfig.model_fields:
        if name not in ("engine", "synthetic"):
            target = form.editor(name).focusProxy()
            while target.focusProxy() is not None:
                target = target.focusProxy()
            assert target.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_that_a_form_fits_a_narrow_dock(qtbot: QtBot) -> None:
    for kind in CONFIGS:
        form = ConfigForm(kind)
        qtbot.addWidget(form)
        form.unfold()
        assert form.minimumSizeHint().width() <= 280, kind.__name__


def _line(form: ConfigForm, field: str) -> QLineEdit:
    line = form.editor(field).findChild(QLineEdit)
    assert line is not None
    return line


def _wheel() -> QWheelEvent:
    return QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(0, 0), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip


def _choose(form: ConfigForm, kind: type[Config]) -> None:
    """As a user does in the box."""
    box = form.kinds.boxes["engine"]
    box.setCurrentIndex(box.findData(kind))
    box.activated.emit(box.currentIndex())


@pytest.mark.parametrize("unfolded", [True, False])
def test_that_another_kind_of_network_brings_its_fields_and_defaults(qtbot: QtBot, unfolded: bool) -> None:
    form = ConfigForm(TrainConfig(batch_size=6))
    qtbot.addWidget(form)
    if unfolded:
        form.unfold()
    assert [form.kinds.boxes["engine"].itemText(at) for at in range(2)] == ["StarDist", "Mask R-CNN"]
    with qtbot.waitSignal(form.valueChanged):
        _choose(form, MaskRCNNConfig)
    assert form.value() == TrainConfig(engine=MaskRCNNConfig(), batch_size=6), "what was given is kept"
    assert form.value().patch_size == 256
    form.unfold()
    form.editor("engine.roi_batch_per_image").put(64)
    form._nested["engine"]._changed()
    assert form.value().engine == MaskRCNNConfig(roi_batch_per_image=64)
    _choose(form, StarDistConfig)
    assert form.value() == TrainConfig(batch_size=6)
    with pytest.raises(KeyError):
        form.editor("engine.roi_batch_per_image")


def test_that_the_optimiser_follows_the_backbone_until_it_is_chosen(qtbot: QtBot) -> None:
    form = ConfigForm(TrainConfig(engine=MaskRCNNConfig()))
    qtbot.addWidget(form)
    form.unfold()
    backbone = form.editor("engine.backbone")
    backbone._combo.setCurrentText("resnet50")  # type: ignore[attr-defined]
    assert form.value().optimizer == "sgd"
    assert form.editor("optimizer").get() == "sgd"
    backbone._combo.setCurrentText("light")  # type: ignore[attr-defined]
    assert form.value().optimizer == "adam"
    form.setValue(TrainConfig(engine=MaskRCNNConfig(backbone="resnet50"), optimizer="adam"))
    backbone._combo.setCurrentText("resnet101")  # type: ignore[attr-defined]
    assert form.value().optimizer == "adam"


def test_that_problems_of_another_kind_are_told_in_its_labels(qtbot: QtBot) -> None:
    form = ConfigForm(TrainConfig(engine=MaskRCNNConfig()))
    qtbot.addWidget(form)
    form.unfold()
    line = form.editor("engine.anchor_sizes").findChild(QLineEdit)
    assert line is not None
    line.setText("32, 64")
    problem = form.problem()
    assert problem is not None
    assert problem.startswith("'Network'")
    assert "'Anchor sizes' needs 5 values" in problem
