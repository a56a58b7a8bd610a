"""Files in and out: images, annotations, datasets, tables, run records; every write is atomic."""
