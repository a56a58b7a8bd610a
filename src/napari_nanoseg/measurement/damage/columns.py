"""What the columns of the tables of an analysis are, for people: titles, units, definitions."""

from __future__ import annotations

from dataclasses import replace

from napari_nanoseg.measurement.columns import Column

_BAND = "limit of its confidence band"
_SHARES = {
    "slice": Column("Slice", "slice of the volume, counted from 0"),
    "damage": Column("Damage", "cracks / area of the windows, or of the particles in them"),
    "damage_low": Column("Damage, low", f"damage: lower {_BAND}"),
    "damage_high": Column("Damage, high", f"damage: upper {_BAND}"),
    "packing": Column("Packing", "particles / area of the windows"),
    "packing_low": Column("Packing, low", f"packing: lower {_BAND}"),
    "packing_high": Column("Packing, high", f"packing: upper {_BAND}"),
    "windows": Column("Windows", "windows side by side with something in them"),
    "area": Column("Area", "pixels that count: all, or all but voids; of a particle its pixels", "px²"),
    "crack_area": Column("Crack area", "pixels of cracks", "px²"),
    "particle_area": Column("Particle area", "pixels of particles", "px²"),
    "crack_branch_points": Column("Branch points", "points where centre lines of the slice branch"),
    "scope": Column("Of", "what the line is of: all windows, all with the means of their slices taken off, or a slice"),
    "slope": Column("Slope", "of the straight line of damage against packing"),
    "slope_error": Column("Slope error", "standard error of the slope"),
    "intercept": Column("Intercept", "damage of the line where the packing is 0"),
    "r": Column("r", "Pearson's coefficient of correlation"),
    "p": Column("p", "probability of such a slope if damage and packing were independent"),
    "n": Column("n", "windows"),
    "smooth_slope": Column("Smooth slope", "slope smoothed over depth"),
    "smooth_slope_low": Column("Smooth slope, low", f"smoothed slope: lower {_BAND}"),
    "smooth_slope_high": Column("Smooth slope, high", f"smoothed slope: upper {_BAND}"),
    "crack": Column("Crack", "number of the connected crack"),
    "particle": Column("Particle", "number of the particle"),
    "voxels": Column("Voxels", "how many it has"),
    "crack_voxels": Column("Crack voxels", "voxels of cracks in the particle"),
    "crack_fraction": Column("Crack fraction", "voxels of cracks / voxels of the particle"),
    "centroid_slice": Column("Centroid slice", "mean slice of its voxels"),
    "centroid_row": Column("Centroid row", "mean row of its voxels", "px"),
    "centroid_column": Column("Centroid column", "mean column of its voxels", "px"),
    "first_slice": Column("First slice", "the first that it is in"),
    "last_slice": Column("Last slice", "the last that it is in"),
    "touches_border": Column("At border", "it reaches the edge of the volume and may be cut off there"),
    "branch_points": Column("Branch points", "points where its centre line branches"),
    "azimuth_deg": Column("Azimuth", "main direction in the slice, counter-clockwise from the horizontal", "°"),
    "inclination_deg": Column("Inclination", "angle of the main direction to the depth", "°"),
    "angle": Column("Angle", "in_plane: direction in the slice; to_depth: angle to the depth"),
    "from_deg": Column("From", "smallest angle of the class", "°"),
    "to_deg": Column("To", "largest angle of the class", "°"),
    "share": Column("Share", "share of the length of all centre lines"),
}
_LENGTHS = {
    "depth": Column("Depth", "depth, from the first slice", "px"),
    "length": Column("Length", "length of the centre line", "px"),
    "crack_length": Column("Crack length", "length of all centre lines of the slice", "px"),
    "equivalent_diameter": Column("Equivalent diameter", "diameter of the ball of the same volume, or disc", "px"),
    **{
        f"{lead}width_{name}": Column(f"{title} width, {words}", f"width along the centre line: {words}", "px")
        for lead, title in (("", "Crack"), ("crack_", "Crack"))
        for name, words in (("mean", "mean"), ("p10", "10 %"), ("p50", "median"), ("p90", "90 %"))
    },
}
COLUMNS: dict[str, Column] = {
    **_SHARES,
    **_LENGTHS,
    **{f"{name}_um": replace(column, unit="µm") for name, column in _LENGTHS.items()},
    "area_um2": Column("Area", "area of its pixels", "µm²"),
    "volume_um3": Column("Volume", "volume of its voxels", "µm³"),
}
"""Every column by name; lengths without a unit in the name are in pixels."""
