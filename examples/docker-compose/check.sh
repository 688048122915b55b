#!/bin/sh
# Asserts that each tenant sees its own data and nothing of the other's, by `tenancyctl verify`: it asks $QUERY (Envoy) as each of them. $BEHIND
# (Thanos) must not answer from here. $CONFIG is the file that holds the filter's configuration. Waits up to $PATIENCE seconds for the first
# data; exits 0 where the tenants are isolated. Arguments are passed on:
# `docker compose run --rm check --verbose` prints every check.
set -eu

: "${QUERY:?the URL of Envoy}" "${BEHIND:?the URL of what is behind it}" "${CONFIG:?the file of Envoy or of the filter}"
exec tenancyctl verify "$QUERY" --config "$CONFIG" --tenant team-a --tenant team-b --unreachable "$BEHIND" --wait "${PATIENCE:-120}" "$@"
