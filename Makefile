# make demo and make test work on a fresh Debian machine with Python 3.11; docs/installing.md has the other systems.
export PYTHON ?= python3
BIN := .venv/bin
SERVER := 99
STAMP := .venv/.installed
SCREEN = $(if $(shell command -v xvfb-run),env -u WAYLAND_DISPLAY QT_QPA_PLATFORM=xcb xvfb-run -a -n $(SERVER) -s "-screen 0 1600x1000x24")
# a window where there is a display, else a picture of it
ifeq ($(DISPLAY)$(WAYLAND_DISPLAY),)
ON_SCREEN = $(SCREEN)
SHOW := screenshot
else
SHOW := window
endif

.PHONY: demo test without-windows windows lint bench install system
.DELETE_ON_ERROR:

demo: install
	$(ON_SCREEN) $(BIN)/nanoseg demo --show $(SHOW)

# side by side: 13 minutes instead of 17 on two cores
test: lint
	$(BIN)/npe2 validate napari-nanoseg
	$(MAKE) -j2 without-windows windows

without-windows: install
	$(SCREEN) $(BIN)/python -m pytest -m "not gui"

# on a screen of its own
windows: SERVER := 199
windows: install
	$(SCREEN) $(BIN)/python -m pytest -m gui

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	for file in benchmarks/*.py; do echo "== $$file" && $(SCREEN) $(BIN)/python "$$file" --quick || exit 1; done

install: system $(STAMP)

system:
	@tools/install-system-libraries

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	touch $@
