"""The command line, `nanoseg`."""

from napari_nanoseg.cli.app import app


def main() -> None:
    """Run the command that was typed and exit with its status."""
    app(prog_name="nanoseg")
