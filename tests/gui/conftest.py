"""What tests with a window need."""

from __future__ import annotations

import os
import sys

import pytest


@pytest.fixture(autouse=True)
def _screen(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gui") and sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        pytest.skip("there is no screen; run under xvfb-run (make test does)")
