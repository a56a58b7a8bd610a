"""U-Nets that give every pixel a class; see :class:`napari_nanoseg.engines.unet.model.UNetModel`."""
