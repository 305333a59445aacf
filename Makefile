# Everything a newcomer, a developer and CI need. No root is needed; where root is there, tests use mosquitto too.
PYTHON ?= python3
ENVS ?= .venv
DEMO := $(ENVS)/demo
DEV := $(ENVS)/dev
RELEASE := $(ENVS)/release
BIN := $(CURDIR)/$(DEV)/bin
DATA ?= ../shared/data
MINUTES ?= 50
# Half of the tests' time is waiting, so two files at once; threads that wait for work must not spin beside the other.
WORKERS ?= 2
# Debian packages that tests use where they are there: broker, database, fault injection, simulated GigE
# camera, network namespaces, bare Debian, browser, RTSP server.
SYSTEM_PACKAGES = mosquitto
SYSTEM_PACKAGES += postgresql strace xfsprogs libfaketime
SYSTEM_PACKAGES += aravis-tools libaravis-0.8-0
SYSTEM_PACKAGES += iproute2 nftables
SYSTEM_PACKAGES += prometheus logrotate
SYSTEM_PACKAGES += debootstrap
SYSTEM_PACKAGES += chromium fonts-wqy-zenhei
SYSTEM_PACKAGES += python3-gi gir1.2-gst-rtsp-server-1.0
SYSTEM_PACKAGES += gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly
# By the number of their tests, which is the default, the slow files would come last, and one worker would wait.
TESTS = OMP_WAIT_POLICY=passive $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Not empty: `make test` and then `make long` count what they cover, and the floor holds for both; half as slow again.
COVERAGE ?=
TRAIN = $(BIN)/cloud train --minutes $(MINUTES) --json

.PHONY: help demo test gates unit long bench soak figures-deeppcb-reference figures-deeppcb figures-neu figures-elpv-probe figures-elpv-paper figures-elpv-finetune figures-anomaly story-deeppcb tune lock deb release clean system

help:
	@echo "make demo [ARGS=--fast]  install without torch and run the whole product on real solar cells"
	@echo "make test                gates (ruff, mypy, import contracts) and the tests, but for the long ones"
	@echo "make long                trainings, calibrations, packages and browser walks"
	@echo "make test long COVERAGE=yes  both, and what they cover must reach its floor, as in CI"
	@echo "make bench               measure this machine; figures as ratios of one run"
	@echo "make soak                long runs"
	@echo "make figures-...         train and measure on a public set (deeppcb-reference, deeppcb, neu, elpv-probe, elpv-paper, elpv-finetune, anomaly)"
	@echo "make story-deeppcb       the cloud loop with a detector: imported boxes, torch, from an anomaly model to it on a line"
	@echo "make tune                what threads and BF16 do to training here (LeNet-5 on Fashion-MNIST)"
	@echo "make release [ARGS=...]  archives, bills of materials, licences, audit, checksums into build/release"
	@echo "make deb                 the Debian packages of station and hub into build/deb"
	@echo "make lock                resolve the lock files anew"

demo: $(DEMO)/.installed
	$(DEMO)/bin/edge demo $(ARGS)

test: system $(DEV)/.installed $(RELEASE)/.installed gates unit

gates: $(DEV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(DEV)/.installed
	$(TESTS) -m "not benchmark and not soak and not long" $(if $(COVERAGE),--cov --cov-report= --cov-fail-under=0) $(ARGS)

# What takes minutes each.
long: system $(DEV)/.installed $(RELEASE)/.installed
	$(TESTS) -m "long and not benchmark and not soak" $(if $(COVERAGE),--cov --cov-append --cov-report=term:skip-covered) $(ARGS)

bench: system $(DEV)/.installed
	$(BIN)/pytest -m benchmark -s tests/benchmarks $(ARGS)

soak: system $(DEV)/.installed
	$(BIN)/pytest -m soak -s $(ARGS)

# README's detector figures, each under an hour on two cores; the split is by board group, which nothing leaks across.
figures-deeppcb-reference: $(DEV)/.installed
	rm -rf build/deeppcb-reference
	$(TRAIN) --data $(DATA)/deeppcb --out build/deeppcb-reference/v1 --split-by prefix:5 --test-share 0.10

figures-deeppcb: $(DEV)/.installed
	rm -rf build/deeppcb
	$(TRAIN) --data $(DATA)/deeppcb --out build/deeppcb/v1 --split-by prefix:5 --test-share 0.10 --no-reference

figures-neu: $(DEV)/.installed
	rm -rf build/neu
	$(TRAIN) --data $(DATA)/neu_det --out build/neu/v1 --test-share 0.10

# A classifier on solar cells (experts sure: good or defective), a quarter held out by near-twins; enough for the gate.
figures-elpv-probe: $(DEV)/.installed
	rm -rf build/elpv build/elpv-probe
	$(BIN)/python deploy/export_cells.py build/elpv
	$(BIN)/cloud train --kind classifier --method probe --data build/elpv --out build/elpv-probe/v1 --test-share 0.25 --json

# The published task: the doubtful cells too, a quarter held out (here by near-twins).
figures-elpv-paper: $(DEV)/.installed
	rm -rf build/elpv-all build/elpv-paper
	$(BIN)/python deploy/export_cells.py build/elpv-all all
	$(BIN)/cloud train --kind classifier --method probe --data build/elpv-all --out build/elpv-paper/v1 --test-share 0.25 --json

# The same cells as for the probe held out, and the backbone learns too: under 25 minutes on two cores in all.
figures-elpv-finetune: $(DEV)/.installed
	rm -rf build/elpv build/elpv-finetune
	$(BIN)/python deploy/export_cells.py build/elpv
	$(BIN)/cloud train --kind classifier --method finetune --minutes 15 --size 320 --data build/elpv \
		--out build/elpv-finetune/v1 --test-share 0.25 --json

# Anomaly models from good parts alone: three sets and splits, four input sizes, bad parts among the good (15 minutes).
figures-anomaly: $(DEV)/.installed
	rm -rf build/elpv build/anomaly
	$(BIN)/python deploy/export_cells.py build/elpv
	$(BIN)/python deploy/anomaly_figures.py build/anomaly magnetic=$(DATA)/magnetic_tile aliens=$(DATA)/aliens elpv=build/elpv

# The loop's second story, in a quarter of an hour: labelled boards in, a detector trained, proven, signed, live.
story-deeppcb: system $(DEV)/.installed
	OMP_WAIT_POLICY=passive $(BIN)/pytest -m soak -s tests/scenarios/test_pcb_story.py $(ARGS)

tune: $(DEV)/.installed
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! [ -d /usr/share/datasets/fashion-mnist ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq dataset-fashion-mnist; \
	fi
	$(BIN)/cloud tune --out build/tune $(ARGS)

lock:
	$(PYTHON) deploy/lock.py

deb:
	$(PYTHON) deploy/build_deb.py $(ARGS)

# From the last commit; not released where the tree is not clean, a licence unknown, or a weakness known or not asked for.
release: $(DEV)/.installed $(RELEASE)/.installed
	PYTHONDONTWRITEBYTECODE=1 $(BIN)/python deploy/release.py --python $(PYTHON) --pip-audit $(RELEASE)/bin/pip-audit $(ARGS)

clean:
	rm -rf $(ENVS) build demo-run

# A virtual environment without its own pip: Debian's python3 makes one without the python3-venv package.
$(DEMO)/.installed: deploy/requirements/demo.txt pyproject.toml
	$(PYTHON) -m venv --without-pip $(DEMO)
	$(PYTHON) -m pip --python $(DEMO)/bin/python install --quiet -r deploy/requirements/demo.txt
	$(PYTHON) -m pip --python $(DEMO)/bin/python install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(DEV)/.installed: deploy/requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv --without-pip $(DEV)
	$(PYTHON) -m pip --python $(DEV)/bin/python install --quiet -r deploy/requirements/dev.txt
	$(PYTHON) -m pip --python $(DEV)/bin/python install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# pip-audit, apart: what it needs shall not stand beside what is tested.
$(RELEASE)/.installed: deploy/requirements/release.txt
	$(PYTHON) -m venv --without-pip $(RELEASE)
	$(PYTHON) -m pip --python $(RELEASE)/bin/python install --quiet -r deploy/requirements/release.txt
	touch $@

# System packages only where root allows, each by itself; tests that miss one skip and name it.
system:
	@missing=$$(for package in $(SYSTEM_PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || echo $$package; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq; \
		for package in $$missing; do \
			DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$package \
			|| echo "$$package cannot be installed: tests that need it skip"; \
		done; \
	else \
		echo "not installed, and this is not root: $$missing: tests that need them skip"; \
	fi
