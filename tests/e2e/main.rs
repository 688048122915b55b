//! End to end: clients, a real Envoy with the shipped configuration and the real module, real upstreams.
//!
//! - `support`: processes, clients, upstreams and their data
//! - `queries`, `selectors`: answers equal those of the upstream to queries with matchers written by hand
//! - `grpc`: Thanos's gRPC services, and Thanos Query and Ruler as clients of the filter
//! - `stores`: what Thanos reports about its stores, rulers, and how it runs queries
//! - `answers`: answers that are filtered, because the request can't be scoped
//! - `errors`: every error looks like one, whoever made it, and says what its reader needs
//! - `upstream_limits`: the same for limits and time-outs that are flags of Prometheus and Thanos
//! - `dry_run`: everything is decided, and clients get what they get without the filter
//! - `federation`: `federation_label`, beside a Cortex that federates by itself; `cortex`, `mimir`: what the API table says of them
//! - `foreign`: queries that try to read another tenant's data
//! - `alertmanager`: one Alertmanager for two tenants; `alert_routes`: a shared ruler's alerts to two of them
//! - `metadata`: metadata and targets
//! - `remote_read`: a Prometheus that reads another as a tenant
//! - `grafana`: the requests of Grafana's Prometheus data source
//! - `bodies`, `headers`, `paths`, `smuggling`: which requests reach the upstream, at the edges of HTTP
//! - `times`: times and durations are read as the upstreams read them
//! - `hostile`: queries that try to exhaust the filter; `limits`, `retention`: per-tenant limits; `deletion`: `tenancyctl retention` on Prometheus, Cortex and Thanos
//! - `delegated`: limits that the upstream enforces, and the size of answers
//! - `fleet`: limits over several Envoys, and what protects an upstream; `soak`: mixed traffic with faults
//! - `sources`: the tenant by certificate, token and configuration; `trail`: access logs, traces and Envoy's log
//! - `verify`: `tenancyctl verify` on deployments that isolate, and on those that don't
//! - `deployments`: the topologies of examples/docker-compose and their check script
//! - `getting_started`: the steps of the guide
//! - `kubernetes`: Envoy as the examples for Kubernetes, Envoy Gateway and Istio configure it; `chart`: as the Helm chart does
//! - `basic_auth`, `ext_authz`: the tenant by user name, and by an authorisation service
//! - `naming`: claims as identity providers write them, the tenant in the path and in a parameter
//! - `web_pages`: the pages of Prometheus and Thanos in a real browser; `web_login`: which signs in first
//! - `stats`: all stats; `samples`: the samples that queries read
//! - `dashboards`: the operators' dashboard and rules, with a Prometheus that scrapes Envoy; `picture`: draws the README's picture, on request
//! - `trap`, `configuration`, `reload`: the filter as a part of Envoy; `native`: the native module as one
//!
//! They run against the wasm module, or, with `TENANCY_MODULE=native`, against the native one: scripts/test does both.
//!
//! `make test` sets environment variables with the paths of the programs. Without them, a test fails with a message that says so.
#![cfg(not(target_family = "wasm"))]

mod alert_routes;
mod alertmanager;
mod answers;
mod basic_auth;
mod bodies;
mod capabilities;
mod chart;
mod clients;
mod configuration;
mod cortex;
mod dashboards;
mod delegated;
mod deletion;
mod deployments;
mod dry_run;
mod errors;
mod ext_authz;
mod federation;
mod fleet;
mod foreign;
#[path = "../generator/mod.rs"]
mod generator;
mod getting_started;
mod grafana;
mod grpc;
mod headers;
mod hostile;
mod kubernetes;
mod limits;
mod metadata;
mod mimir;
mod naming;
mod native;
#[path = "../conformance/oracle.rs"]
#[allow(dead_code)] // conformance uses all of it
mod oracle;
mod paths;
mod picture;
mod queries;
mod reload;
mod remote_read;
mod retention;
mod samples;
mod scopes;
mod selectors;
mod smuggling;
mod soak;
mod sources;
mod stats;
mod stores;
mod support;
mod times;
mod trail;
mod trap;
mod upstream;
mod upstream_limits;
mod verify;
mod web_login;
mod web_pages;
mod writes;
