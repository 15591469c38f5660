# Parley. `make run` builds and starts the server on ./data; `make test` runs every test; see docs/DEVELOP.md.
GO        ?= go
TOOLS     ?= $(CURDIR)/.cache/tools
LINT      := $(TOOLS)/golangci-lint-v2.15.0
FUMPT     := $(TOOLS)/gofumpt-v0.9.2
FUZZTIME  ?= 30s
SOAKTIME  ?= 20
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   := -s -w -X parley/internal/app.Version=$(VERSION)

.PHONY: build run test check format vet lint generated cross race bench soak fuzz clean

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

run: build
	bin/parley serve

test: build
	$(GO) test ./...

check: format vet lint generated cross race

format: $(FUMPT)
	@out="$$($(FUMPT) -l $$(git ls-files -co --exclude-standard '*.go'))"; test -z "$$out" || { echo "not formatted:"; echo "$$out"; exit 1; }

vet:
	$(GO) vet ./...

lint: $(LINT)
	$(LINT) run ./...

generated:
	$(GO) test -count=1 -run Reference ./internal/config -update
	@git diff --exit-code -- docs/operate/configuration.md || { echo "the reference page is out of date: commit what was made"; exit 1; }

cross:
	GOOS=windows GOARCH=amd64 CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/parley
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/parley

race:
	$(GO) test -race -short ./...

bench: build
	bin/parley-bench all

soak: build
	SOAK=$(SOAKTIME) $(GO) test -timeout 60m -count=1 ./test/crash ./test/promise ./test/events

fuzz:
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg; done; done

$(LINT):
	GOBIN=$(TOOLS)/build $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(TOOLS)/build/golangci-lint $@

$(FUMPT):
	GOBIN=$(TOOLS)/build $(GO) install mvdan.cc/gofumpt@v0.9.2
	mv $(TOOLS)/build/gofumpt $@

clean:
	rm -rf bin
