"""Known materials and instruments, as values of a ``NanowireConfig``."""

from __future__ import annotations

from typing import Any, Literal

Preset = Literal["V2O5 ptychography", "V2O5 STXM", "Ag nanowires SEM", "Au nanorods TEM"]

_V2O5: dict[str, Any] = {
    "cross_sections": ("rectangle", "lath", "hexagon"),
    "width_sd": 0.3,
    "wire_absorption": (3.0, 9.0),
    "bent_fraction": 0.1,
}

PRESETS: dict[Preset, dict[str, Any]] = {
    "V2O5 ptychography": _V2O5
    | {"look": "ptychography", "pixel_size_nm": 10.0, "length_nm": 1500.0, "width_nm": 110.0, "wires": (20, 60)},
    "V2O5 STXM": _V2O5
    | {"look": "stxm", "pixel_size_nm": 30.0, "length_nm": 2500.0, "width_nm": 160.0, "wires": (20, 70)},
    "Ag nanowires SEM": {
        "look": "sem",
        "pixel_size_nm": 20.0,
        "wires": (8, 40),
        "cross_sections": ("hexagon", "circle"),
        "thickness_ratio": (0.85, 0.95),
        "length_nm": 2000.0,
        "width_nm": 95.0,
        "width_sd": 0.15,
        "taper": (0.0, 0.05),
        "bent_fraction": 0.1,
        "persistence_length_nm": (20000.0, 100000.0),
        "broken_fraction": 0.05,
        "bundled_fraction": 0.4,
        "spheres": (0, 4),
        "particle_size_nm": 120.0,
        "deposition": "settled",
        "masks": "visible",
        "dtype": "uint8",
        "sem": {
            "substrate": (0.33, 0.48),
            "brightness": (0.5, 0.7),
            "edges": (0.05, 0.45),
            "shadow": (0.0, 0.3),
            "see_through": (0.1, 0.8),
            "noise": (0.01, 0.05),
            "texture": (0.002, 0.015),
        },
    },
    "Au nanorods TEM": {
        "look": "tem",
        "pixel_size_nm": 0.5,
        "wires": (0, 0),
        "rods": (15, 60),
        "spheres": (0, 6),
        "cubes": (0, 3),
        "particle_size_nm": 14.0,
        "particle_size_sd": 0.15,
        "deposition": "settled",
        "dtype": "uint8",
        "tem": {"mean_free_path_nm": (9.0, 20.0)},
    },
}
"""Values that differ from the general defaults, by the name of the preset."""
