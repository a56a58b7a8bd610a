"""The nanowire generator: physical objects in nm, seen by X-rays and electrons; no voxels."""
