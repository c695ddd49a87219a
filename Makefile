SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

GOARCH ?= arm64
FUNCTIONS := chat code embeddings models templates chains conversations documents search admin health sweep
# Stripped, static, without the RPC mode that provided.al2023 never uses, and
# without gRPC's debugging pages: they keep 10 MB alive that nothing else needs.
BUILD := CGO_ENABLED=0 go build -trimpath -tags grpcnotrace -ldflags='-s -w'
LAMBDA := CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) go build -trimpath -tags lambda.norpc,grpcnotrace -ldflags='-s -w'

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: bin/gateway ## Serve everything on port 3001: prints a key and a curl line
	@exec bin/gateway

.PHONY: bin/gateway
bin/gateway:
	@mkdir -p bin
	$(BUILD) -o $@ ./functions/local

.PHONY: test
test: ## Run every test that this machine can run
	@.ci/test

.PHONY: build
build: bin/gateway $(FUNCTIONS:%=build-%) ## Build bin/gateway and build/NAME/bootstrap (GOARCH=amd64 for x86)

.PHONY: $(FUNCTIONS:%=build-%)
$(FUNCTIONS:%=build-%): build-%:
	@mkdir -p build/$*
	$(LAMBDA) -o build/$*/bootstrap ./functions/$*

.PHONY: invoke
invoke: ## Run a built function on an event: make invoke F=chat E=events/chat.json
	@[ -n "$(F)" ] && [ -n "$(E)" ] || { echo "usage: make invoke F=chat E=events/chat.json" >&2; exit 2; }
	@$(MAKE) --silent build-$(F) GOARCH=$$(go env GOHOSTARCH)
	@go run ./functions/invoke -dev -f build/$(F)/bootstrap -e $(E)

.PHONY: data
data: ## Print what the data directory holds (the server must be stopped)
	@go run ./functions/local data

.PHONY: lint
lint: ## Vet, format and lint
	@.ci/lint

.PHONY: bench
bench: ## Compare with the upstream asked directly and with a plain reverse proxy
	@.ci/bench

.PHONY: eval
eval: ## Print how well retrieval finds things: make eval DATA=../shared/data
	@[ -n "$(DATA)" ] || { echo "usage: make eval DATA=folder with the corpora" >&2; exit 2; }
	@go run ./.ci/eval -data "$(DATA)"

.PHONY: coldstart
coldstart: ## Print size and start-up time of every built function
	@go run ./.ci/coldstart

.PHONY: deploy
deploy: ## Build and deploy with SAM (asks for what it needs to know)
	sam build && sam deploy --guided

.PHONY: clean
clean: ## Remove what was built; .data stays
	rm -rf bin build .aws-sam
