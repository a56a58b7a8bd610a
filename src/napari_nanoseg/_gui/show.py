"""A napari window with results in it, to work with or to take a picture of."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import napari
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from napari.qt import get_qapp
from qtpy.QtCore import Qt

from napari_nanoseg._gui.layers import LayerData
from napari_nanoseg.io.atomic import atomic_path
from napari_nanoseg.layer_data import OUTLINE_WIDTH

WINDOW_SIZE = 1600, 1000
TABLE_HEIGHT = 230


def show(
    layers: Iterable[LayerData],
    *,
    select: str | None = None,
    filled: Collection[str] = (),
    step: str | None = None,
    screenshot: str | Path | None = None,
) -> None:
    """Open napari with these layers and the table of the selected layer's features.

    Parameters
    ----------
    layers : iterable of LayerData
        Made by :mod:`napari_nanoseg._gui.layers`, from the bottom up.
    select : str, optional
        Name of the layer to select; the topmost when not given.
    filled : collection of str
        Names of labels layers to fill; the others are drawn as outlines, so that the image stays visible.
    step : str, optional
        Title of the step at which the NanoSeg dock opens; no dock when not given.
    screenshot : str or Path, optional
        PNG file to write a picture of the window to, which then closes. Without it, this function returns when the
        user has closed the window.

    Raises
    ------
    NanosegError
        When the picture cannot be written.
    """
    viewer = napari.Viewer(title="NanoSeg")
    try:
        fill(viewer, layers, select=select, filled=filled)
        viewer.window.resize(*WINDOW_SIZE)
        table, _ = viewer.window.add_plugin_dock_widget("napari", "Features table widget")
        main_window = table.parentWidget()
        main_window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, table)
        main_window.resizeDocks([table], [TABLE_HEIGHT], Qt.Orientation.Vertical)
        if step is not None:
            _, steps = viewer.window.add_plugin_dock_widget("napari-nanoseg", "NanoSeg")
            steps.show_step(step)
        get_qapp().processEvents()  # the docks take their room before the image is fitted into the rest
        viewer.reset_view()
        if screenshot is None:
            napari.run()
        else:
            get_qapp().processEvents()
            with atomic_path(screenshot) as temporary:
                viewer.screenshot(str(temporary), canvas_only=False, flash=False)
    finally:
        if screenshot is not None:
            viewer.close()


def fill(
    viewer: ViewerModel, layers: Iterable[LayerData], *, select: str | None = None, filled: Collection[str] = ()
) -> None:
    """Add the layers to a viewer as :func:`show` describes it, with a scale bar."""
    for data, options, kind in layers:
        layer = viewer.add_layer(Layer.create(data, options, kind))
        if isinstance(layer, Labels) and layer.name not in filled:
            layer.contour, layer.opacity = OUTLINE_WIDTH, 1.0
    if select is not None:
        viewer.layers.selection.active = viewer.layers[select]
    viewer.canvas.overlays.scale_bar.visible = True
