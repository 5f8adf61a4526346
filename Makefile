# Every target works on a fresh clone: what it needs is installed first. `make help` lists them.
NODE_BIN := $(CURDIR)/tools/node/node_modules/.bin
export PATH := $(NODE_BIN):$(CURDIR)/node_modules/.bin:$(PATH)

NODE := $(NODE_BIN)/node
INSTALLED := node_modules/.package-lock.json
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
# docker-compose, version 1, cannot wait.
COMPOSE_WAIT = $(if $(filter docker,$(COMPOSE)),--wait)

.DEFAULT_GOAL := help
.PHONY: help run test typecheck lint format build bench up down logs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1 · /'

$(NODE): tools/node/package-lock.json
	npm ci --prefix tools/node --no-audit --no-fund --loglevel=error && touch $@

$(INSTALLED): package.json package-lock.json $(NODE)
	npm ci --no-audit --no-fund --loglevel=error && touch $@

run: $(INSTALLED) ## install and serve on 127.0.0.1:3003, all state under ./data
	@exec node src/main.ts

test: $(INSTALLED) ## install and run every test
	vitest run

typecheck: $(INSTALLED) ## check the types
	tsc --noEmit

lint: $(INSTALLED) ## check style, formatting and which folder may import which
	biome check --error-on-warnings

format: $(INSTALLED) ## format and fix what can be fixed
	biome check --write

build: $(INSTALLED) ## compile to ./dist, as the container image runs it
	tsc --project tsconfig.build.json

bench: $(INSTALLED) ## measure, as ratios within one run
	node bench/run.ts

up: ## docker compose: EventStoreDB, Postgres, Redis, Kafka and the service
	@tools/write-env.sh
	$(COMPOSE) up --build --detach $(COMPOSE_WAIT)
	@port=$$(sed -n 's/^PORT=//p' .env); \
	echo "The Incident Ledger is up: http://127.0.0.1:$${PORT:-$${port:-3003}}/docs. Its access key: X_ACCESS_KEY in .env."

down: ## stop what `make up` started; the volumes stay
	$(COMPOSE) down

logs: ## follow the logs of what `make up` started
	$(COMPOSE) logs --follow

clean: ## remove what was installed and built; ./data stays
	rm -rf node_modules tools/node/node_modules dist coverage
