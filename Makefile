# Every target sets up what it needs; on a fresh Debian 12 `make demo` and `make test` are enough.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV := .venv
PY := $(VENV)/bin/python
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench anchors web clean postgis servers chromium

demo: $(VENV)/.core
	rm -rf demo
	$(VENV)/bin/curupira demo --out demo

test: $(VENV)/.dev postgis servers chromium
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PY) -m pytest -n 2

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/mypy

# The front end, from webapp/ into the package. The bundle is committed: only those who change it need Node.
web:
	@command -v npm >/dev/null || { $(SUDO) apt-get update -qq; $(SUDO) apt-get install -y -qq nodejs npm >/dev/null; }
	cd webapp && npm ci --silent --no-audit --no-fund
	cd webapp && node_modules/.bin/tsc --noEmit && node build.mjs

bench: $(VENV)/.dev
	$(PY) -m benchmarks

# Does the simulator look like the real series? Needs none of them: their figures are in benchmarks/results.
anchors: $(VENV)/.core
	$(PY) benchmarks/simulated_anchors.py --json benchmarks/results/anchors.json

# A bare Debian has Python without venv, and a Python of one's own comes without the library that rasterio
# takes from the system. Git and make are there, or this file would not be read.
$(VENV)/bin/python:
	ldconfig -p | grep -q 'libexpat\.so\.1' || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq libexpat1; }
	python3 -c 'import ensurepip, venv' 2>/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq python3-venv; }
	python3 -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

# PyTorch first and by itself, so that no other package decides on its build.
$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PY) -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(PIP) --editable '.[dev,postgis,serve,mining]'
	touch $@ $(VENV)/.core

# The tests start their own server: Debian's package must not start one.
CREATE_CLUSTER := /etc/postgresql-common/createcluster.conf
postgis:
	@test -x /usr/lib/postgresql/15/bin/initdb -a -e /usr/share/postgresql/15/extension/postgis.control || { \
	  $(SUDO) mkdir -p $(dir $(CREATE_CLUSTER)); \
	  test -e $(CREATE_CLUSTER) || echo 'create_main_cluster = false' | $(SUDO) tee $(CREATE_CLUSTER) >/dev/null; \
	  $(SUDO) apt-get update -qq; \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Options::=--force-confold \
	    postgresql-15-postgis-3 >/dev/null; }

# What deliveries are tried against, and the agency's own importer (ogr2ogr). The tests start their
# own servers on loopback: while they are installed, Debian must not start its ones.
POLICY := /usr/sbin/policy-rc.d
servers:
	test -x /usr/sbin/sshd -a -x /usr/sbin/vsftpd -a -x /usr/bin/ogr2ogr -a -x /usr/bin/openssl || { \
	  if [ ! -e $(POLICY) ]; then \
	    printf '#!/bin/sh\nexit 101\n' | $(SUDO) tee $(POLICY) >/dev/null; $(SUDO) chmod +x $(POLICY); \
	    trap '$(SUDO) rm -f $(POLICY)' EXIT; \
	  fi; \
	  $(SUDO) apt-get update -qq; \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openssh-server vsftpd gdal-bin openssl >/dev/null; }

# The browser that the tests of the web application drive.
chromium:
	@command -v chromium >/dev/null || { $(SUDO) apt-get update -qq; \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; }

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
