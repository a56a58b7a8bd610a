"""Known cathodes, as values of a ``CathodeConfig``."""

from __future__ import annotations

from typing import Any, Literal

CathodePreset = Literal["NMC pristine", "NMC cracked near the separator", "NMC training"]

CATHODE_PRESETS: dict[CathodePreset, dict[str, Any]] = {
    "NMC pristine": {"damage": {"first": 0.005}, "crack_width_nm": (70.0, 140.0)},
    # the published finding: damage rises towards the separator, and its correlation with the packing turns from
    # positive near the current collector to negative near the separator
    "NMC cracked near the separator": {
        "damage": {"form": "sigmoid", "first": 0.04, "last": 0.14, "middle": 0.5, "width": 0.12},
        "slope": {"form": "linear", "first": 0.12, "last": -0.3},
    },
    "NMC training": {
        "damage": {"first": 0.06},
        "damage_scale": (0.1, 2.5),
        "particle_diameter_nm": (2500.0, 5000.0),
        "look": {"blur": (0.4, 1.6), "fringe": (0.0, 1.2), "noise": (0.01, 0.1), "rings": (0.0, 0.05)},
    },
}
"""Values that differ from the general defaults, by the name of the preset."""
