# On a machine with Python 3.11+ and make: `make demo` and `make test` install everything they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAGES := ingest qa_gen finetune evaluate corpora
export HF_HUB_DISABLE_TELEMETRY = 1
# The CPU build of torch where there is no NVIDIA GPU: a bare `torch` from the registry brings gigabytes of CUDA.
# Alone and without its dependencies, so that an index out of reach costs one lookup.
TORCH := $(if $(shell command -v nvidia-smi 2>/dev/null),torch,\
	--no-deps --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu torch)
# A worker a core, up to four: more would spend their time on imports.
UNIT = $(BIN)/pytest -q -n logical --maxprocesses 4
# The tests of a file stay together, because they share what was trained for them, and come in the order of the
# collection, the longest first; a thread a worker.
SLOW = OMP_NUM_THREADS=1 $(BIN)/pytest -q -m slow -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# The tools that read kb's exports. Their pins exclude kb's and each other's, so each has an environment of its own: what
# tests/peers lists, before kb's packages. So torch need not be installed again.
PEERS := inspect evalscope llama_factory ms_swift unsloth
PEER := .venv-peers
PURELIB := import sysconfig; print(sysconfig.get_path("purelib"))

.PHONY: demo test unit peers $(PEERS:%=peer-%) check fmt links wheel bench bench-retention lab-model handbook clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("kb needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -c constraints.txt $(TORCH)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.installed ## documents to a four-arm retention report, in ./kb-demo
	$(BIN)/kb demo

test: $(VENV)/.installed ## everything; the unit suite first
	$(UNIT)
	$(SLOW)

unit: $(VENV)/.installed ## the unit suite alone: seconds, no model, no network
	$(UNIT)

peers: $(PEERS:%=peer-%) ## exports run back by the tools that they are for; `make peer-inspect` for one

# These tests fail where the tool is missing, and pytest where -k selects none.
$(PEERS:%=peer-%): peer-%: $(PEER)/%/.installed links
	PYTHONPATH=$(CURDIR)/.links OMP_NUM_THREADS=1 $(PEER)/$*/bin/python -m pytest -q -m peer -k $* \
		tests/evaluate/bench/test_peers.py tests/qa_gen/test_peers.py

$(PEERS:%=$(PEER)/%/.installed): $(PEER)/%/.installed: tests/peers/%.txt $(VENV)/.installed
	$(BIN)/python -m venv --clear --without-pip $(@D)
	echo "import site; site.addsitedir('$$($(BIN)/python -c '$(PURELIB)')')" \
		>"$$($(@D)/bin/python -c '$(PURELIB)')/kb.pth"
	$(@D)/bin/python -m pip install -qq --no-deps --no-compile --no-warn-conflicts -r $<
	touch $@

links: ## a link tree that shows the static tools the stages inside the package
	rm -rf .links && mkdir -p .links/kb && ln -s $(CURDIR)/src/kb/* $(foreach s,$(STAGES),$(CURDIR)/$(s)) .links/kb/

check: $(VENV)/.installed links ## lint, format, types, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=.links $(BIN)/lint-imports

fmt: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.installed
	rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist .

bench: $(VENV)/.installed ## hours: generation, retention by dose, mix and method, speed and memory; written to docs
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[measure]'
	$(BIN)/python -m pip install -q --no-deps synthetic-data-kit
	$(BIN)/python benchmarks/generation.py --out docs/measurements/generation.md
	$(BIN)/python benchmarks/doses.py --out docs/measurements/doses.md
	$(BIN)/python benchmarks/engine.py --out docs/measurements/engine.md
	$(BIN)/python benchmarks/methods.py --out docs/measurements/methods.md
	$(BIN)/python benchmarks/memory.py --out docs/measurements/memory.md
	$(BIN)/python benchmarks/throughput.py --out docs/measurements/throughput.md
	$(BIN)/python benchmarks/intervals.py --datasets 10000 --out docs/measurements/intervals.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/summaries.py --out docs/measurements/summaries.md
	$(BIN)/python benchmarks/harness.py --out docs/measurements/harness.md
	$(BIN)/python benchmarks/first.py --out docs/measurements/first.md
	$(BIN)/python benchmarks/whole.py --out docs/measurements/handbook.md
	$(BIN)/python benchmarks/chat_model.py --limit 20 --compare none --out docs/measurements/chat-model.md
	$(BIN)/python benchmarks/page.py --out docs/measurements/page.md
	$(BIN)/python benchmarks/prefixes.py --documents 4 --rounds 1 --out docs/measurements/prefixes.md
	$(BIN)/python benchmarks/failures.py --documents 16 --steps 400 --out docs/measurements/failures.md
	$(BIN)/python benchmarks/control.py --documents 10 --steps 300 --seeds 1 2 --out docs/measurements/control.md

bench-retention: $(VENV)/.installed ## an hour: 3 seeds of the demo and the wording effect, with intervals
	$(BIN)/python benchmarks/retention.py

lab-model: $(VENV)/.installed ## hours: train the lab model from scratch (docs/lab-model.md)
	$(BIN)/python -m kb.corpora.lab_train --out build/lab

handbook: $(VENV)/.installed ## write corpora/handbook again, byte for byte
	$(BIN)/python -m kb.corpora.handbook corpora/handbook

clean:
	rm -rf build dist .links kb-demo $(PEER) .mypy_cache .ruff_cache .pytest_cache
