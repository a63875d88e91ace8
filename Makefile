# Builds, tests and installs reservation-sweeper. `make help` lists the goals.
#
# All output goes to $(BUILD), so that builds with other compilers or with sanitizers stand beside
# each other: make BUILD=build/clang CC=clang, make BUILD=build/asan SANITIZE=1.

# The one place of it: documents, images and packages take it from here, and make release-check proves
# it of those that have to say it themselves.
VERSION := 0.2.0

BUILD ?= build
PREFIX ?= /usr/local
ZSH_FUNCTIONS ?= $(PREFIX)/share/zsh/site-functions
PYTHON ?= /usr/bin/python3
PYTEST_ARGS ?=

BINARY := $(BUILD)/reservation-sweeper

.DELETE_ON_ERROR:
.PHONY: all completions unit memory integration fault fault-short test test-long model fuzz fuzz-short fuzz-programs \
    torture torture-many api-test page-test compose-test demo docs bench bench-programs bench-peers bench-where \
    bench-plots bench-readme platforms-test alerts deb deb-test install image sbom image-sbom release-check \
    release-test check-workflows print-version check check-docs check-format check-mutants layers mutants tidy \
    cppcheck clean help FORCE
all:

# ---- Packages and libraries -----------------------------------------------------------------------

BUILD_PACKAGES := $(if $(findstring clang,$(CC)),clang,gcc) libc6-dev pkgconf libhiredis-dev \
    libssl-dev libpq-dev libevent-dev libjansson-dev libyaml-dev
SERVER_PACKAGES := postgresql redis-server python3 python3-psycopg python3-redis
# Debian has it from 13 on.
VALKEY := $(shell . /etc/os-release 2>/dev/null && [ "$$ID" = debian ] && [ "$${VERSION_ID:-0}" -ge 13 ] && echo valkey-server)

PACKAGES_unit := libcmocka-dev
PACKAGES_integration := $(SERVER_PACKAGES) pgbouncer python3-pytest python3-pytest-xdist \
    prometheus systemd python3-yaml openssl zsh curl $(VALKEY)
PACKAGES_test := $(PACKAGES_unit) $(PACKAGES_integration)
PACKAGES_test-long = $(PACKAGES_integration) $(PACKAGES_fault)
PACKAGES_fault := $(SERVER_PACKAGES) gcc libc6-dev mount python3-pytest python3-pytest-xdist
PACKAGES_fault-short := $(PACKAGES_fault)
PACKAGES_torture := $(SERVER_PACKAGES) gcc libc6-dev
PACKAGES_torture-many := $(SERVER_PACKAGES)
PACKAGES_model := spin gcc libc6-dev
PACKAGES_fuzz := clang libclang-rt-dev
PACKAGES_fuzz-short := $(PACKAGES_fuzz)
PACKAGES_demo := $(SERVER_PACKAGES)
PACKAGES_page-test := $(SERVER_PACKAGES)
PACKAGES_bench := $(SERVER_PACKAGES) pgbouncer gnuplot-nox
PACKAGES_bench-programs := $(SERVER_PACKAGES) pgbouncer
PACKAGES_bench-where := $(SERVER_PACKAGES) linux-perf
PACKAGES_bench-peers := $(PACKAGES_bench)
PACKAGES_bench-plots := gnuplot-nox python3
PACKAGES_layers := binutils python3
PACKAGES_sbom := python3
PACKAGES_release-test := python3 python3-pytest
PACKAGES_mutants := $(PACKAGES_unit) $(SERVER_PACKAGES) git python3-pytest
PACKAGES_check := $(PACKAGES_unit) $(PACKAGES_layers) clang-format cppcheck python3-pytest
PACKAGES_tidy := clang-tidy $(PACKAGES_unit)
PACKAGES_cppcheck := cppcheck

GOALS := $(or $(MAKECMDGOALS),all)
GOAL_PACKAGES := $(sort $(foreach goal,$(GOALS),$(PACKAGES_$(goal))))
ifdef SANITIZE
GOAL_PACKAGES += $(if $(findstring clang,$(CC)),libclang-rt-dev)
endif
NEED_PACKAGES := NO_INSTALL="$(NO_INSTALL)" tools/need-packages

# make remakes the files that it includes, then starts over: so everything is installed before the
# first question about a compiler or a library is asked. Not for goals that compile nothing, nor for
# make -n, which would install too.
UNCOMPILED := help clean print-version image image-sbom release-check check-workflows deb deb-test alerts platforms-test check-docs check-format check-mutants api-test compose-test bench-readme
ifneq ($(filter-out $(UNCOMPILED),$(GOALS)),)
ifeq ($(findstring n,$(filter-out -%,$(firstword $(MAKEFLAGS)))),)
include $(BUILD)/config.mk
endif
endif

# Looked at each time, since packages come and go; touched only when it would say something else. Another
# make may do the same at the same time: $PPID is this one's.
$(BUILD)/config.mk: FORCE
	@mkdir -p $(@D)
	@packages="$(GOAL_PACKAGES)"; \
	tools/find-libraries "$(CC)" >$@.$$PPID 2>/dev/null || packages="$(BUILD_PACKAGES) $$packages"; \
	$(NEED_PACKAGES) "make $(GOALS)" $$packages && tools/find-libraries "$(CC)" >$@.$$PPID || \
	    { rm -f $@.$$PPID; exit 1; }
	@if cmp -s $@.$$PPID $@; then rm $@.$$PPID; else mv $@.$$PPID $@; fi

# ---- Flags ----------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
    $(if $(WERROR),-Werror)

ifdef SANITIZE
CFLAGS ?= -O1 -g
HARDENING := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LINKING := -fsanitize=address,undefined
else
CFLAGS ?= -O2 -g
HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
    -fstack-clash-protection -fPIE
LINKING := -pie -Wl,-z,relro,-z,now
endif

RS_CPPFLAGS = -Iinclude -Isrc -D_GNU_SOURCE -DRS_VERSION='"$(VERSION)"' $(LIB_CPPFLAGS) $(CPPFLAGS)
RS_CFLAGS = -std=c11 $(WARNINGS) $(HARDENING) $(CFLAGS)
COMPILE = $(CC) $(RS_CPPFLAGS) $(RS_CFLAGS) -MMD -MP
LINK = $(CC) $(HARDENING) $(CFLAGS) $(LINKING) $(LDFLAGS)

# One short line for each step; V=1 shows the commands themselves.
SHOW = $(if $(V),,@printf '  %-6s %s\n' $(1) $@;)

# ---- The program ----------------------------------------------------------------------------------

SOURCES := $(wildcard src/*.c src/*/*.c)
LUA := $(wildcard lua/*.lua)
SQL := $(filter-out sql/schema.sql,$(wildcard sql/*.sql))
WEB := $(wildcard web/*.html web/*.css web/*.js)
GENERATED := $(BUILD)/gen/queue/lua_scripts.c $(BUILD)/gen/store/sql_texts.c \
    $(BUILD)/gen/app/web_files.c

# The revision lies outside the library: with each commit only this is compiled and the program linked.
MAIN_OBJECTS := $(BUILD)/obj/src/main.o $(BUILD)/obj/gen/revision.o \
    $(if $(SANITIZE),$(BUILD)/obj/tests/memory/huge_tables.o)
OBJECTS := $(SOURCES:%.c=$(BUILD)/obj/%.o) $(GENERATED:$(BUILD)/%.c=$(BUILD)/obj/%.o)
LIBRARY := $(BUILD)/libsweeper.a

all: $(BINARY) completions

$(BINARY): $(MAIN_OBJECTS) $(LIBRARY)
	$(call SHOW,link)$(LINK) -o $@ $^ $(LIB_LIBS)

# Made anew, so that objects of sources that are gone do not linger in it, and since ar replaces by the
# name alone: some sources have the same one.
$(LIBRARY): $(filter-out $(MAIN_OBJECTS),$(OBJECTS)) $(BUILD)/flags
	@rm -f $@
	$(call SHOW,ar)$(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SHOW,cc)$(COMPILE) -c -o $@ $<

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SHOW,cc)$(COMPILE) -c -o $@ $<

$(BUILD)/gen/queue/lua_scripts.c: tools/embed $(LUA) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SHOW,embed)tools/embed lua $(LUA) >$@

$(BUILD)/gen/store/sql_texts.c: tools/embed $(SQL) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SHOW,embed)tools/embed sql $(SQL) >$@

$(BUILD)/gen/app/web_files.c: tools/embed $(WEB) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SHOW,embed)tools/embed web $(WEB) >$@

# Asked each time, and touched only when the answer is another one.
$(BUILD)/gen/revision.c: FORCE
	@mkdir -p $(@D)
	@printf '#include "revision.h"\n\nconst char revision[] = "%s";\n' \
	    "$$(REVISION="$(REVISION)" tools/revision)" >$@.$$PPID
	@if cmp -s $@.$$PPID $@; then rm $@.$$PPID; else mv $@.$$PPID $@; fi

# Other flags, or a source more or less: build again.
FINGERPRINT = $(COMPILE) $(LINK) $(SOURCES) $(LUA) $(SQL) $(WEB)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(FINGERPRINT))' | cmp -s - $@ || \
	    printf '%s\n' '$(subst ','\'',$(FINGERPRINT))' >$@

-include $(OBJECTS:.o=.d)

# ---- Tests ----------------------------------------------------------------------------------------

UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_SUPPORT := $(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*.c))
UNIT_OBJECTS := $(UNIT_SOURCES:%.c=$(BUILD)/obj/%.o)
UNIT_SUPPORT_OBJECTS := $(UNIT_SUPPORT:%.c=$(BUILD)/obj/%.o)
UNIT_PROGRAMS := $(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/unit/%)

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(UNIT_SUPPORT_OBJECTS) $(LIBRARY)
	@mkdir -p $(@D)
	$(call SHOW,link)$(LINK) -o $@ $^ -lcmocka $(LIB_LIBS)

-include $(UNIT_OBJECTS:.o=.d) $(UNIT_SUPPORT_OBJECTS:.o=.d)

# Kept, so that a second run does not compile them again.
.SECONDARY: $(UNIT_OBJECTS) $(UNIT_SUPPORT_OBJECTS)

# Out of memory: the library with its allocations failing in turn, as the fuzz targets use it.
MEMORY_TARGETS := address config conninfo queues reply rows
MEMORY_PROGRAMS := $(MEMORY_TARGETS:%=$(BUILD)/memory/%)
MEMORY_LIBRARY := $(BUILD)/memory/libsweeper.a

$(MEMORY_LIBRARY): $(LIBRARY)
	@mkdir -p $(@D)
	$(call SHOW,ar)objcopy $(foreach call,malloc calloc realloc strdup open_memstream, \
	    --redefine-sym $(call)=failing_$(call)) $< $@

$(BUILD)/memory/parts: $(BUILD)/obj/tests/memory/parts.o $(BUILD)/obj/tests/memory/failing.o \
    $(MEMORY_LIBRARY)
	$(call SHOW,link)$(LINK) -o $@ $^ $(LIB_LIBS)

$(BUILD)/memory/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/memory/failing.o \
    $(MEMORY_LIBRARY)
	@mkdir -p $(@D)
	$(call SHOW,link)$(LINK) -o $@ $^ $(LIB_LIBS)

-include $(BUILD)/obj/tests/memory/failing.d $(BUILD)/obj/tests/memory/parts.d \
    $(BUILD)/obj/tests/memory/huge_tables.d
.SECONDARY: $(BUILD)/obj/tests/memory/failing.o $(BUILD)/obj/tests/memory/parts.o

memory: $(MEMORY_PROGRAMS) $(BUILD)/memory/parts
	@$(RS_WRAPPER) $(BUILD)/memory/parts Makefile
	@for program in $(MEMORY_PROGRAMS); do \
	    $(RS_WRAPPER) $$program tests/fuzz/seeds/$${program##*/}/* || exit 1; \
	done

unit: $(UNIT_PROGRAMS) memory
	@tools/run-units $(UNIT_PROGRAMS)

# Six at a time, each with servers of its own: these tests wait more than they work.
PYTEST_INTEGRATION = RS_BINARY="$(BINARY)" $(PYTHON) -m pytest tests/docs tests/deploy tests/integration \
    -n 6 -q -rs $(PYTEST_ARGS)

integration: $(BINARY) completions
	$(PYTEST_INTEGRATION)

# For tests in tests/fault: sessions by the thousand, and the daemon short of memory.
SESSIONS := $(BUILD)/fault/sessions
SCARCE := $(BUILD)/memory/scarce

$(SCARCE): $(MAIN_OBJECTS) $(BUILD)/obj/tests/memory/scarce.o $(MEMORY_LIBRARY)
	$(call SHOW,link)$(LINK) -o $@ $^ $(LIB_LIBS)

$(SESSIONS): $(BUILD)/obj/tests/fault/sessions.o $(LIBRARY)
	@mkdir -p $(@D)
	$(call SHOW,link)$(LINK) -o $@ $^ $(LIB_LIBS)

-include $(BUILD)/obj/tests/fault/sessions.d $(BUILD)/obj/tests/memory/scarce.d

# Version 0.1.0, for tests of an upgrade: it leased each id by itself. Only its compiler is ours: its
# warnings are not, nor are flags of this build.
FORMER := $(BUILD)/former/reservation-sweeper

$(FORMER): tests/former/sources.tar.xz
	@rm -rf $(@D)
	@mkdir -p $(@D)
	$(call SHOW,former)$(PYTHON) -W ignore -m tarfile -e $< $(@D) && \
	    MAKEFLAGS= MAKELEVEL= $(MAKE) -s -C $(@D) -j$$(nproc) NO_INSTALL=1 BUILD=. \
	    CC="$(CC)" CFLAGS="-O1 -w" SANITIZE= WERROR= CPPFLAGS= LDFLAGS= >/dev/null
	@touch $@

fault: $(BINARY) $(FORMER) $(SESSIONS) $(SCARCE)
	RS_BINARY="$(BINARY)" $(PYTHON) -m pytest tests/fault -q -rs $(PYTEST_ARGS)

# The short form: one fault of each kind, and a few at random. Three files at a time: they wait more than they work.
fault-short: $(BINARY) $(FORMER)
	RS_BINARY="$(BINARY)" $(PYTHON) -m pytest tests/fault -m short -n 3 --dist loadfile -q -rs
	RS_BINARY="$(BINARY)" $(PYTHON) tests/fault/torture.py --faults 20

# One kind after the other, whatever -j says: the integration tests measure time.
test: $(BINARY) completions $(UNIT_PROGRAMS) memory
	@tools/run-units $(UNIT_PROGRAMS)
	$(PYTEST_INTEGRATION) -m 'not long'
	@echo "Left to make test-long, with a few faults, since they take long:"
	@grep -v '^#' tests/integration/long.txt | awk -F '::test_' \
	    '{ of[$$1] = of[$$1] " " $$2 } END { for (file in of) print "    " file ":" of[file] }' | sort

test-long: $(BINARY) completions $(FORMER)
	$(PYTEST_INTEGRATION) -m long
	@$(MAKE) --no-print-directory fault-short

# Random faults; FAULTS=n how many, SEED=n to see the same ones again, SHOP=warehouse, spree, paying or extending for the
# tables of one of examples/shops.
torture: $(BINARY)
	RS_BINARY="$(BINARY)" $(PYTHON) tests/fault/torture.py --faults $(or $(FAULTS),1000) \
	    $(if $(SEED),--seed $(SEED)) $(if $(SHOP),--shop $(SHOP))

# Four sweepers, four queues, two Postgres and a Cluster, killed at random; MINUTES=n, SEED=n.
torture-many: $(BINARY)
	RS_BINARY="$(BINARY)" $(PYTHON) tests/fault/many_servers.py --minutes $(or $(MINUTES),10) \
	    $(if $(SEED),--seed $(SEED))

model:
	@tests/model/check

# libFuzzer is clang's, and wants the library built for it.
FUZZ_SECONDS ?= 600
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_OBJECTS := $(FUZZ_SOURCES:%.c=$(BUILD)/obj/%.o)
FUZZ_PROGRAMS := $(FUZZ_SOURCES:tests/fuzz/fuzz_%.c=$(BUILD)/fuzz/%)

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(LIBRARY)
	@mkdir -p $(@D)
	$(call SHOW,link)$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIB_LIBS)

-include $(FUZZ_OBJECTS:.o=.d)
.SECONDARY: $(FUZZ_OBJECTS)

fuzz-programs: $(FUZZ_PROGRAMS)

fuzz:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzzing CC=clang SANITIZE=1 WERROR=1 \
	    CFLAGS="-O1 -g -fsanitize=fuzzer-no-link" fuzz-programs
	@tests/fuzz/run $(BUILD)/fuzzing $(FUZZ_SECONDS)

fuzz-short:
	@$(MAKE) --no-print-directory BUILD=$(BUILD) FUZZ_SECONDS=10 fuzz

# The example's own tests. Node comes from Debian, unless there is one from elsewhere.
api-test:
	@$(NEED_PACKAGES) "make api-test" postgresql redis-server $(if $(shell command -v npm),,nodejs npm)
	cd examples/api && npm ci --no-audit --no-fund && npm test

# What deploy/ gives to Kubernetes, AWS and Azure, against their own schemas.
platforms-test:
	@$(NEED_PACKAGES) "make platforms-test" $(if $(shell command -v npm),,nodejs npm)
	cd tests/platforms && npm ci --no-audit --no-fund && npm test

# deploy/prometheus/alerts.yml with whole addresses, and the same for the Prometheus operator.
alerts:
	$(if $(RUNBOOK_URL),,$(error make alerts: RUNBOOK_URL= is where docs/OPERATIONS.md can be read))
	@mkdir -p $(BUILD)
	sed 's|runbook_url: docs/OPERATIONS.md|runbook_url: $(RUNBOOK_URL)|' deploy/prometheus/alerts.yml >$(BUILD)/alerts.yml
	@{ printf 'apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n'; \
	printf 'metadata:\n  name: reservation-sweeper\nspec:\n'; \
	sed 's/^/  /' $(BUILD)/alerts.yml; } >$(BUILD)/prometheusrule.yaml

# The page at /, in Chromium; DRAW=1 draws docs/page anew.
page-test: $(BINARY)
	@$(NEED_PACKAGES) "make page-test" chromium fonts-dejavu-core $(if $(DRAW),pngquant) $(if $(shell command -v npm),,nodejs npm)
	cd tests/page && npm ci --no-audit --no-fund && \
	    $(if $(DRAW),npm run draw,RS_BINARY="$(abspath $(BINARY))" PYTHON="$(PYTHON)" npm test)

# Needs root and a Docker engine: docker-compose.yml, the images, and the example in a container.
compose-test:
	@$(NEED_PACKAGES) "make compose-test" python3-pytest python3-psycopg python3-redis \
	    python3-yaml openssl
	$(PYTHON) -m pytest tests/compose -q -rs $(PYTEST_ARGS)

# Documents that say what the program's own tables say; tests/unit/test_documents.c compares them.
DOCUMENTS := $(BUILD)/tools/documents

$(DOCUMENTS): $(BUILD)/obj/tools/documents.o $(LIBRARY)
	@mkdir -p $(@D)
	$(call SHOW,link)$(LINK) -o $@ $^ $(LIB_LIBS)

-include $(BUILD)/obj/tools/documents.d

# What bash and zsh complete the command line with.
COMPLETIONS := $(BUILD)/completions/reservation-sweeper $(BUILD)/completions/_reservation-sweeper

completions: $(COMPLETIONS)

$(BUILD)/completions/reservation-sweeper: $(DOCUMENTS)
	@mkdir -p $(@D)
	$(call SHOW,bash)$(DOCUMENTS) bash >$@

$(BUILD)/completions/_reservation-sweeper: $(DOCUMENTS)
	@mkdir -p $(@D)
	$(call SHOW,zsh)$(DOCUMENTS) zsh >$@

docs: $(DOCUMENTS)
	$(DOCUMENTS) configuration >docs/CONFIGURATION.md
	$(DOCUMENTS) metrics >docs/METRICS.md
	$(DOCUMENTS) manual docs/reservation-sweeper.1 >$(BUILD)/reservation-sweeper.1
	cp $(BUILD)/reservation-sweeper.1 docs/

demo: $(BINARY)
	@KEEP="$(KEEP)" RS_BINARY="$(BINARY)" $(PYTHON) demo/demo.py

# Programs that the benchmarks measure against, or beside which the sweeper is measured.
BENCH_SOURCES := $(wildcard bench/*.c)
BENCH_OBJECTS := $(BENCH_SOURCES:%.c=$(BUILD)/obj/%.o)
BENCH_PROGRAMS := $(BENCH_SOURCES:bench/%.c=$(BUILD)/bench/%)

$(BUILD)/bench/%: $(BUILD)/obj/bench/%.o
	@mkdir -p $(@D)
	$(call SHOW,link)$(LINK) -o $@ $^ -lpq -lm -pthread

-include $(BENCH_OBJECTS:.o=.d)
.SECONDARY: $(BENCH_OBJECTS)

# What bench/run needs, for running it by hand: bench/run --only drain --quick
bench-programs: $(BINARY) $(BENCH_PROGRAMS)

bench: bench-programs
	@RS_BINARY="$(BINARY)" bench/run --plots docs/bench $(BENCH_ARGS)

# Where the time of a release goes, into docs/bench/where.md; perf wants root.
bench-where: bench-programs
	@RS_BINARY="$(BINARY)" bench/where.py

# What a shop would take instead, through npm. Node comes from Debian, unless there is one already.
bench-peers: bench-programs
	@$(NEED_PACKAGES) "make bench-peers" $(if $(shell command -v npm),,nodejs npm)
	cd bench/peers && npm ci --no-audit --no-fund --silent
	@RS_BINARY="$(BINARY)" bench/run --peers --plots docs/bench \
	    --output $(BUILD)/bench-peers.json $(BENCH_ARGS)

# Draws again what the last runs measured.
BENCH_RESULTS = $(wildcard $(BUILD)/bench.json $(BUILD)/bench-peers.json)
bench-plots:
	@bench/plots.py $(BENCH_RESULTS) docs/bench

bench-readme:
	@bench/summary.py README.md $(BENCH_RESULTS)
	@bench/summary.py docs/bench/README.md $(BENCH_RESULTS)

# ---- Checks ---------------------------------------------------------------------------------------

ALL_SOURCES := $(SOURCES) $(UNIT_SOURCES) $(UNIT_SUPPORT) $(BENCH_SOURCES) \
    $(wildcard tests/memory/*.c tests/fault/*.c tools/*.c)
C_FILES := $(ALL_SOURCES) $(FUZZ_SOURCES) \
    $(wildcard include/*/*.h src/*/*.h tests/unit/*.h tests/fuzz/*.h bench/*.h)

# What a change passes before it is committed, in seconds: tools/hooks/pre-commit.
check: unit check-format check-docs check-mutants cppcheck layers

# What the documents say, compared with the source.
check-docs:
	@$(NEED_PACKAGES) "make check-docs" python3-pytest
	@$(PYTHON) -m pytest -q tests/docs

# Whether the lists of mutants are those of the code as it is; make mutants puts them in.
check-mutants:
	@$(PYTHON) tools/mutants --read

check-format:
	@$(NEED_PACKAGES) "make check-format" clang-format
	@clang-format --dry-run --Werror $(C_FILES)
	@tools/dialect $(C_FILES)

# What the architecture promises, proved from the objects: see tools/layers.
layers: $(BINARY)
	@$(PYTHON) tools/layers $(BUILD)/obj $(OBJECTS)

# Faults put into copies of the tree, which a test must notice: MUTANTS="--explore src/base/few.c"
# makes its own. See tools/mutants.
mutants:
	@$(PYTHON) tools/mutants $(MUTANTS)

# For clangd and its like: how each file is compiled, with the same flags as here.
QUOTED_COMPILE = $(subst ",\",$(subst \,\\,$(COMPILE)))
compile_commands.json: FORCE
	@{ echo '['; \
	printf '  {"directory": "$(CURDIR)", "file": "%s", "command": "%s -c %s"},\n' \
	    $(foreach source,$(filter %.c,$(C_FILES)),$(source) '$(subst ','\'',$(QUOTED_COMPILE))' $(source)) | \
	    sed '$$s/,$$//'; \
	echo ']'; } >$@

# Eight files at a time: its start is 117 ms. But version 14 takes each va_list for uninitialized that is not
# in its first file.
tidy:
	@{ grep -lw va_list $(ALL_SOURCES); grep -Lw va_list $(ALL_SOURCES) | xargs -n 8; } | \
	    xargs -P 2 -L 1 sh -c \
	    'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- $(subst ','\'',$(RS_CPPFLAGS)) -std=c11' tidy

# It knows no system headers; without sys/queue.h, which is nothing but macros, it cannot parse ours.
cppcheck:
	@queue_h=$$(echo '#include <sys/queue.h>' | $(CC) -xc -M - | grep -o '[^ ]*/sys/queue\.h'); \
	cppcheck --quiet -j 2 --std=c11 --library=posix --enable=warning,performance,portability \
	    --error-exitcode=1 --inline-suppr --suppressions-list=tests/suppressions/cppcheck.txt \
	    --include=$$queue_h -Iinclude -Isrc -D_GNU_SOURCE src

# ---- Installation ---------------------------------------------------------------------------------

install: $(BINARY) completions
	install -D -m 755 $(BINARY) "$(DESTDIR)$(PREFIX)/bin/reservation-sweeper"
	install -D -m 644 docs/reservation-sweeper.1 \
	    "$(DESTDIR)$(PREFIX)/share/man/man1/reservation-sweeper.1"
	install -D -m 644 $(BUILD)/completions/reservation-sweeper \
	    "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/reservation-sweeper"
	install -D -m 644 $(BUILD)/completions/_reservation-sweeper \
	    "$(DESTDIR)$(ZSH_FUNCTIONS)/_reservation-sweeper"
	install -d "$(DESTDIR)$(PREFIX)/lib/systemd/system"
	sed 's|@BINDIR@|$(PREFIX)/bin|' deploy/systemd/reservation-sweeper.service \
	    >"$(DESTDIR)$(PREFIX)/lib/systemd/system/reservation-sweeper.service"
	chmod 644 "$(DESTDIR)$(PREFIX)/lib/systemd/system/reservation-sweeper.service"

# ---- Release --------------------------------------------------------------------------------------

# IMAGE=name, BASE_IMAGE=debian:trixie-slim@sha256:..., SOURCE=the repository's address (else that of origin).
IMAGE ?= reservation-sweeper
# Without what a remote's address may hold of a password.
SOURCE ?= $(shell git remote get-url origin 2>/dev/null | sed 's|//[^/@]*@|//|')
IMAGE_ARGS = $(foreach name,BASE_IMAGE SOURCE,$(if $($(name)),--build-arg $(name)="$($(name))"))

image:
	docker build --tag "$(IMAGE)" --build-arg VERSION=$(VERSION) \
	    --build-arg REVISION="$$(REVISION="$(REVISION)" tools/revision)" $(IMAGE_ARGS) .

# What is linked and copied, as SPDX: of the program that is built here, of another one of this revision
# (PROGRAM=), and of the image.
PROGRAM ?= $(BINARY)
sbom: $(PROGRAM)
	$(PYTHON) tools/sbom $(VERSION) --program "$(PROGRAM)" --output $(BUILD)/sbom.spdx.json

image-sbom:
	@mkdir -p $(BUILD)
	$(PYTHON) tools/sbom $(VERSION) --image "$(IMAGE)" --output $(BUILD)/image.spdx.json

# Whether all that say the version agree. STRICT=1 or TAG=v...: as for a release, which has a date;
# RELEASE_IMAGE= and DEB= name an image and a package that were built.
release-check:
	@STRICT="$(STRICT)" tools/release-check $(VERSION) --tag "$(TAG)" --image "$(RELEASE_IMAGE)" --deb "$(DEB)"

release-test: $(BINARY)
	RS_BINARY="$(BINARY)" $(PYTHON) -m pytest tests/release -q -rs $(PYTEST_ARGS)

# The workflows: their form by yamllint and GitHub's own schema, their shell by shellcheck.
check-workflows:
	@$(NEED_PACKAGES) "make check-workflows" yamllint shellcheck python3-yaml python3-pytest \
	    $(if $(shell command -v npm),,nodejs npm)
	yamllint --strict .github
	$(PYTHON) -m pytest tests/workflows -q -rs
	cd tests/workflows && npm ci --no-audit --no-fund --silent && \
	    for workflow in ../../.github/workflows/*.yml; do npx action-validator "$$workflow" || exit 1; done

print-version:
	@echo $(VERSION)
# A package for the Debian that it is built on, made in a copy of what goes into it.
DEB_SOURCE := $(BUILD)/deb/reservation-sweeper-$(VERSION)
DEB_FILES := CHANGELOG.md LICENSE Makefile deploy/grafana deploy/prometheus deploy/systemd docs examples/shops include lua packaging sql src tools web

deb:
	@$(NEED_PACKAGES) "make deb" build-essential debhelper $(BUILD_PACKAGES)
	@rm -rf $(BUILD)/deb
	@mkdir -p $(DEB_SOURCE)
	@tar -c $(DEB_FILES) | tar -x -C $(DEB_SOURCE)
	@mv $(DEB_SOURCE)/packaging/debian $(DEB_SOURCE)/
	@packaging/changelog $(VERSION) >$(DEB_SOURCE)/debian/changelog
	@revision="$$(REVISION="$(REVISION)" tools/revision)" && cd $(DEB_SOURCE) && \
	    REVISION="$$revision" MAKEFLAGS= MAKELEVEL= DEB_BUILD_OPTIONS="noautodbgsym $$DEB_BUILD_OPTIONS" \
	    dpkg-buildpackage --build=binary --no-sign --no-pre-clean --jobs=auto
	@mv $(BUILD)/deb/*.deb $(BUILD)/
	@cd $(BUILD)/deb && sed -n 's|^\(reservation-sweeper_.*\.deb\) .*|$(BUILD)/\1|p' $(DEB_SOURCE:$(BUILD)/deb/%=%)/debian/files

# In fresh Debians, which it makes: root is needed.
deb-test:
	@$(NEED_PACKAGES) "make deb-test" mmdebstrap python3-pytest python3-pytest-xdist util-linux
	$(PYTHON) -m pytest tests/deb -n 2 --dist loadgroup -q -rs $(PYTEST_ARGS)

clean:
	rm -rf $(BUILD)

help:
	@echo 'make               build $(BINARY), installing what is missing through apt'
	@echo 'make NO_INSTALL=1  the same, but only name what is missing'
	@echo 'make test          the unit and the integration tests, but for those that take longest'
	@echo 'make test-long     those, and the short form of the fault tests'
	@echo 'make check         before each commit: unit, documents, check-format, cppcheck and layers, in seconds'
	@echo 'make mutants       faults put in on purpose, each of which a test must notice; MUTANTS=--help'
	@echo 'make unit          the unit tests, and make memory: each allocation fails in turn'
	@echo 'make integration   the integration tests; PYTEST_ARGS="-k name -x" selects'
	@echo 'make fault         the fault tests: servers killed, cut off, paused, with wrong clocks'
	@echo 'make fault-short   one fault of each kind, and 20 at random'
	@echo 'make torture       1,000 random faults; FAULTS=n SEED=n SHOP=warehouse, spree, paying or extending'
	@echo 'make torture-many  four sweepers, two Postgres and a Cluster, killed at random; MINUTES=n SEED=n'
	@echo 'make model         checks the protocol exhaustively, with spin'
	@echo 'make fuzz          FUZZ_SECONDS=n for each target; make fuzz-short: 10 s each'
	@echo 'make fuzz-programs, make bench-programs'
	@echo '                   what they need, for running it by hand'
	@echo 'make api-test      the tests of examples/api (npm test)'
	@echo 'make page-test     the page at /, in Chromium; DRAW=1 draws docs/page anew'
	@echo 'make platforms-test'
	@echo '                   what deploy/ gives to Kubernetes, AWS and Azure, against their schemas'
	@echo 'make alerts        $(BUILD)/alerts.yml with RUNBOOK_URL= in its links; prometheusrule.yaml for the operator'
	@echo 'make compose-test  the stack of docker-compose.yml; needs root and a Docker engine'
	@echo 'make docs          docs/CONFIGURATION.md, METRICS.md and the man page, from the program'"'"'s tables'
	@echo 'make demo          a private Postgres and Redis, a small shop, and the sweeper at work; KEEP=1: it stays'
	@echo 'make bench         the benchmarks; BENCH_ARGS="--quick --only NAME"; writes $(BUILD)/bench.json'
	@echo 'make bench-plots   draws again what they measured, in docs/bench; make bench-readme: the tables'
	@echo 'make bench-where   where the time of a release goes, by EXPLAIN and perf: docs/bench/where.md'
	@echo 'make bench-peers   the same for what could be used instead, through npm'
	@echo 'make install       PREFIX=$(PREFIX) DESTDIR='
	@echo 'make image         IMAGE=$(IMAGE) BASE_IMAGE=name@sha256:... SOURCE=address'
	@echo 'make sbom          what is linked and copied: $(BUILD)/sbom.spdx.json; make image-sbom: $(BUILD)/image.spdx.json'
	@echo 'make release-check whether all that say the version agree; TAG=v$(VERSION) as for a release'
	@echo 'make release-test, check-workflows'
	@echo '                   the tools of a release, and the workflows under .github'
	@echo 'make print-version'
	@echo 'make deb           a package for this Debian, $(BUILD)/reservation-sweeper_VERSION_ARCHITECTURE.deb'
	@echo 'make deb-test      the package, in a fresh Debian 12 and 13; needs root'
	@echo 'make layers        who may use whom, and how long a file and a function may be'
	@echo 'make check-docs, check-format, check-mutants, tidy, cppcheck'
	@echo '                   documents and code, clang-format, the lists of mutants, clang-tidy, cppcheck'
	@echo 'make compile_commands.json'
	@echo '                   how each file is compiled, for clangd and its like'
	@echo 'make clean         remove $(BUILD)'
	@echo 'Also: BUILD=folder CC=clang WERROR=1 SANITIZE=1 (ASan and UBSan) V=1 CFLAGS= LDFLAGS='
