"""`python -m napari_nanoseg` is `nanoseg`."""

from napari_nanoseg.cli import main

if __name__ == "__main__":
    main()
