"""Take the pictures of docs/first_segmentation.md: ``xvfb-run -a -s "-screen 0 1600x1000x24" python tests/gui/...``.

Goes through the tour (tour.py) in a real napari and writes docs/images/tour/STEP.png, the
window, and STEP_docks.png, the dock in the dark and the light theme, 300 and 600 pixels wide.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
STEPS = 300
WIDTHS = 300, 600
THEMES = "dark", "light"
COLOURS = 256
"""In a picture's palette: a third of the bytes."""


def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as home:
        for kind in ("DATA", "STATE", "CONFIG"):
            os.environ[f"XDG_{kind}_HOME"] = f"{home}/{kind.lower()}"
        _take(Path(home))


def _take(home: Path) -> None:
    import napari
    from PIL import Image
    from qtpy.QtCore import Qt
    from qtpy.QtGui import QPixmap
    from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget
    from robot import Robot
    from tour import Tour

    pictures = PROJECT / "docs" / "images" / "tour"
    pictures.mkdir(parents=True, exist_ok=True)

    def grab(widget: QWidget, path: Path) -> None:
        pixels: QPixmap = widget.grab()
        pixels.save(str(path))

    def save(picture: Image.Image, path: Path) -> None:
        # not the default method: in a grey picture it makes the few coloured pixels of an outline grey, too
        palette = Image.Quantize.MAXCOVERAGE
        picture.convert("RGB").quantize(COLOURS, method=palette).save(path, optimize=True)

    class Photographer(Robot):
        """Robot with a camera."""

        def picture(self, name: str) -> None:
            """Take the window, and its dock in all themes and widths."""
            assert isinstance(self.window, QMainWindow)
            self.settle(0.5)
            shot = home / "shot.png"
            grab(self.window, shot)
            save(Image.open(shot), pictures / f"{name}.png")
            dock = next(d for d in self.window.findChildren(QDockWidget) if d.windowTitle().startswith("NanoSeg"))
            before, docks = dock.width(), []
            for theme in THEMES:
                self.viewer.theme = theme
                for width in WIDTHS:
                    self.window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)
                    self.settle(0.8)
                    grab(dock, shot)
                    docks.append(Image.open(shot).convert("RGB"))
            self.viewer.theme = THEMES[0]
            self.window.resizeDocks([dock], [before], Qt.Orientation.Horizontal)
            self.settle(0.3)
            montage = Image.new("RGB", (sum(d.width for d in docks), max(d.height for d in docks)))
            left = 0
            for one in docks:
                montage.paste(one, (left, 0))
                left += one.width
            save(montage, pictures / f"{name}_docks.png")

    viewer = napari.Viewer()
    try:
        Tour(Photographer(viewer), home).all(STEPS)
    finally:
        viewer.close()


if __name__ == "__main__":
    main()
