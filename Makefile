# The only door. Every target makes the virtual environment first, once per change of setup.cfg.
#   make setup     the virtual environment and the system's packages that the tests need
#   make demo      three sites that find each other and converge, on servers of their own
#   make test      every test but the long ones; ARGS='tests/unit -k clock' goes to pytest
#   make test-all  every test, those in a browser (Chromium) too; random ones draw anew at every run
#   make test-mysql URL=mysql://..   the same on a MySQL (or MariaDB) server of yours; see the script
#   make mutate    break each merge rule on purpose: the tests must notice
#   make lint      ruff, mypy and the import rules
#   make texts     the page's texts for translators, into build/page.pot
#   make docs      the documentation into build/docs; a broken link is an error
#   make wheelhouse  every wheel for an installation without a network, of this machine's kind and of Windows
#   make portable  both programs in one folder that needs no Python
#   make bench     SUITE=name runs one suite, JSON=file keeps the figures
PYTHON := .venv/bin/python
READY := .venv/ready
BROWSER := .venv/browser
ARGS :=
# One worker more than there are cores, as tests of relays wait more than they work; each starts servers of its own.
WORKERS := --numprocesses $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --dist worksteal

# Where nothing keeps what Python compiles, each worker and each program that a test starts compiles it all again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test test-all test-mysql mutate lint texts docs wheelhouse portable bench
.DEFAULT_GOAL := test

setup: $(READY)

$(READY): setup.cfg pyproject.toml scripts/setup.sh
	@scripts/setup.sh .venv
	@touch $@

$(BROWSER): $(READY) scripts/setup_browser.sh
	@scripts/setup_browser.sh .venv
	@touch $@

demo: $(READY)
	@$(PYTHON) -m demo

test: $(READY)
	@$(PYTHON) -m pytest -m 'not long' $(WORKERS) $(ARGS)

test-all: $(READY) $(BROWSER)
	@$(PYTHON) -m pytest --hypothesis-profile=new $(WORKERS) $(ARGS)
	@$(PYTHON) scripts/mutate.py

test-mysql: $(READY)
	@scripts/test_mysql.sh '$(URL)' $(ARGS)

mutate: $(READY)
	@$(PYTHON) scripts/mutate.py

lint: $(READY)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

texts: $(READY)
	@mkdir -p build
	@.venv/bin/pybabel --quiet extract --mapping relay/page/babel.cfg --project changecapture --output build/page.pot relay/page

docs: $(READY)
	@NO_MKDOCS_2_WARNING=true $(PYTHON) -m mkdocs build --quiet --clean

wheelhouse: $(READY)
	@$(PYTHON) scripts/wheelhouse.py build/wheelhouse

portable: $(READY)
	@$(PYTHON) -m PyInstaller --noconfirm --log-level ERROR --distpath build/portable --workpath build/pyinstaller scripts/portable.spec
	@build/portable/changecapture/changecapture --version

bench: $(READY)
	@$(PYTHON) -m tests.benchmark $(if $(SUITE),--suite $(SUITE)) $(if $(JSON),--json $(JSON))
