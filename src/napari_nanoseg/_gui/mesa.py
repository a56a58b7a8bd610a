"""A crash of napari with Mesa, kept away.

napari 0.9 deletes the shader programs of a layer that is removed. With Mesa 22.3 (that of Debian 12), drawing the
layers that remain then ends the whole process, unsaved work included: two images, of which the lower one is removed,
are enough, without any plugin. With the programs kept, it does not.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from vispy.gloo import gl, glir


@cache
def keep_programs() -> None:
    """Let Mesa keep the programs of removed layers, some kilobytes each, until the window is closed."""
    delete = glir.GlirProgram.delete

    def kept(program: Any) -> None:
        if not _mesa():
            delete(program)

    glir.GlirProgram.delete = kept


@cache
def _mesa() -> bool:
    return "Mesa" in str(gl.glGetParameter(gl.GL_VERSION))
