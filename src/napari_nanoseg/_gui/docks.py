"""Each step as a dock of its own; the button that offers the next step opens the next dock."""

from __future__ import annotations

from napari.components import ViewerModel

from napari_nanoseg._gui.step import Step


def annotate(napari_viewer: ViewerModel) -> Step:
    """The Annotate dock."""
    from napari_nanoseg._gui.annotate import Annotate

    return _alone(Annotate(napari_viewer))


def generate(napari_viewer: ViewerModel) -> Step:
    """The Generate dock."""
    from napari_nanoseg._gui.generate import Generate

    return _alone(Generate(napari_viewer))


def train(napari_viewer: ViewerModel) -> Step:
    """The Train dock."""
    from napari_nanoseg._gui.train import Train

    return _alone(Train(napari_viewer))


def segment(napari_viewer: ViewerModel) -> Step:
    """The Segment dock."""
    from napari_nanoseg._gui.segment import Segment

    return _alone(Segment(napari_viewer))


def measure(napari_viewer: ViewerModel) -> Step:
    """The Measure dock."""
    from napari_nanoseg._gui.measure import Measure

    return _alone(Measure(napari_viewer))


def compare(napari_viewer: ViewerModel) -> Step:
    """The Compare dock."""
    from napari_nanoseg._gui.compare import Compare

    return _alone(Compare(napari_viewer))


def _alone(step: Step) -> Step:
    """Let a step open the next one as a dock beside it."""

    def open_dock(title: str) -> None:
        dock, _ = step.viewer.window.add_plugin_dock_widget("napari-nanoseg", title, tabify=True)
        dock.show()
        dock.raise_()

    step.go_to.connect(open_dock)
    return step
