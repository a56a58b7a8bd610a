"""Docks in scripts: their settings by name, and a run that returns what the Python API returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, ClassVar

from napari.layers import Layer
from qtpy.QtWidgets import QCheckBox, QComboBox

from napari_nanoseg._gui.jobs import JobPanel
from napari_nanoseg._gui.model_picker import ModelPicker
from napari_nanoseg._gui.pickers import LayerPicker, PathPicker
from napari_nanoseg._gui.settings import settings
from napari_nanoseg._gui.waiting import press_and_wait
from napari_nanoseg.arguments import as_path
from napari_nanoseg.config.base import Config
from napari_nanoseg.errors import NanosegError, shown, similar, unsuitable
from napari_nanoseg.io.model_library import find_model

Put = Callable[[], object]
"""Shows a value that was checked."""
Setting = Callable[[str, Any], Put]
"""Checks a value that was given by name, and tells how to show it."""


class Scripted:
    """What a script does with a dock: look at its settings, change them, and run it."""

    title: ClassVar[str]
    panel: JobPanel
    scripted: bool = False
    """Whether a script runs the dock, so that nobody is asked anything."""

    @property
    def config(self) -> Config | None:
        """The config that the dock shows; None where its job has none.

        Raises
        ------
        NanosegError
            When a field holds something that cannot be used.
        """
        return self._shown_config()

    def set(self, **values: Any) -> None:
        """Change settings of the dock by name.

        Parameters
        ----------
        **values
            Layers (or their names), models, files and folders by the names in the job files, and fields of the dock's
            config, such as ``diameter=58``.

        Raises
        ------
        NanosegError
            When the dock has no setting of a name, or a value cannot be used; nothing is changed then.
        """
        own, config = self._own_settings(), self._shown_config()
        known = [*own, *(() if config is None else type(config).model_fields)]
        fields = {name: value for name, value in values.items() if name not in own}
        for name in fields:
            if name not in known:
                raise NanosegError(
                    f"The {self.title} dock has no setting '{name}'{similar(name, known)}; it has {', '.join(known)}."
                )
        if config is not None:
            config = type(config).combined(config, fields, f"{self.title} dock")
        puts = [setting(name, values[name]) for name, setting in own.items() if name in values]
        for put in puts:
            put()
        if fields:
            self._show_config(config)

    def run(self) -> Any:
        """Do what the start button does, wait until the result is shown, and return the result.

        The window stays alive meanwhile: Qt's events are handled.

        Returns
        -------
        object
            What the function of the Python API returns: of Segment an `Instances`, of Measure a table, ...

        Raises
        ------
        NanosegError
            With the sentence that the dock shows when it cannot do its work; and when it is cancelled or closed.
        """
        self.scripted = True
        try:
            made = press_and_wait(self.panel, self.title)
        finally:
            self.scripted = False
        return self._result_of(made)

    def _own_settings(self) -> Mapping[str, Setting]:
        """Settings beside the config."""
        raise NotImplementedError

    def _shown_config(self) -> Config | None:
        """The config that is shown; a `NanosegError` says what is wrong with it."""
        return None

    def _show_config(self, config: Any) -> None:
        """Show another config of the same kind."""

    def _result_of(self, made: Any) -> Any:
        """What the Python API returns, from what the job of the start button returned."""
        raise NotImplementedError


def layer_setting(picker: LayerPicker, also: Callable[[Layer | None], object] = lambda _: None) -> Setting:
    """Choose a layer, given itself or by its name; None where the picker has an entry for none.

    Parameters
    ----------
    picker : LayerPicker
    also : callable
        Is called with the layer before it is chosen.
    """

    def check(name: str, value: Any) -> Put:
        found = find_layer(picker.options, name, value)

        def put() -> None:
            also(found)
            picker.choose(found)

        return put

    return check


def find_layer(options: list[Layer | None], name: str, value: Any) -> Layer | None:
    """Find a layer among those that can be chosen.

    Raises
    ------
    NanosegError
        When it is not among them.
    """
    if value is None and None in options:
        return None
    layers = [layer for layer in options if layer is not None]
    for layer in layers:
        if layer is value or (isinstance(value, str) and layer.name == value):
            return layer
    given = f"the layer '{value.name}'" if isinstance(value, Layer) else shown(value)
    names = ", ".join(f"'{layer.name}'" for layer in layers)
    there = f"choose one of these layers: {names}" if names else "the viewer has no layer of the kind that is needed"
    raise NanosegError(f"'{name}' cannot be {given}; {there}.")


def model_setting(picker: ModelPicker, also: Put = lambda: None) -> Setting:
    """Choose a model by its name in the library or its path."""

    def check(name: str, value: Any) -> Put:
        path = find_model(as_path(value, f"'{name}'"), settings().models)

        def put() -> None:
            also()
            picker.choose(path)

        return put

    return check


def path_setting(picker: PathPicker, also: Put = lambda: None) -> Setting:
    """Choose a file or folder."""

    def check(name: str, value: Any) -> Put:
        path = as_path(value, f"'{name}'")

        def put() -> None:
            also()
            picker.choose(path)

        return put

    return check


def flag_setting(box: QCheckBox) -> Setting:
    """Tick a box, or not."""

    def check(name: str, value: Any) -> Put:
        if not isinstance(value, bool):
            raise unsuitable(f"'{name}'", value, "True or False")
        return lambda: box.setChecked(value)

    return check


def choice_setting(box: QComboBox) -> Setting:
    """Choose an entry of a box by its text."""

    def check(name: str, value: Any) -> Put:
        texts = [box.itemText(index) for index in range(box.count())]
        if value not in texts:
            raise unsuitable(f"'{name}'", value, f"one of: {', '.join(texts)}")
        return lambda: box.setCurrentText(value)

    return check


def text_of(name: str, value: Any) -> str:
    """The text, or the last part of the path, that was given for a name.

    Raises
    ------
    NanosegError
        When it is neither, or empty.
    """
    if not isinstance(value, str | PathLike) or not str(value).strip():
        raise unsuitable(f"'{name}'", value, "a name")
    return str(value)
