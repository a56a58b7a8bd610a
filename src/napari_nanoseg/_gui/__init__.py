"""Everything that needs napari or Qt."""
