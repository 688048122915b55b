//! End to end: clients, a real Envoy with the shipped configuration and the real module, real upstreams.
//!
//! - `support`: processes, clients, upstreams and their data
//! - `queries`, `selectors`: the answer is the one that the upstream gives to a question written by hand
//! - `stores`: what Thanos tells of its stores, of rulers, and of how it runs queries
//! - `answers`: what is filtered in the answer, since the upstream can't be asked for less
//! - `foreign`: queries that try to reach another tenant
//! - `grafana`: the requests of Grafana's Prometheus data source
//! - `bodies`, `headers`, `paths`, `smuggling`: what reaches the upstream on HTTP's edges
//! - `times`: times and durations are read as the upstreams read them
//! - `hostile`: queries made to exhaust the filter; `limits`: what tenants may ask for; `retention`: how far back
//! - `sources`: who is asking, by certificate, token and configuration; `trail`: access logs, traces, the log
//! - `deployments`: the topologies of examples/docker-compose, and the check that they ship
//! - `getting_started`: the guide, followed
//! - `kubernetes`: what the examples for Kubernetes, Envoy Gateway and Istio make of Envoy
//! - `basic_auth`, `ext_authz`: the user name, or whom a service names, is the tenant, whatever else the client says
//! - `stats`: what is counted, and for whom; `samples`: what queries have read
//! - `dashboards`: the examples' dashboard and rules, over a Prometheus that scrapes Envoy; `picture`: the README's, when asked for
//! - `trap`, `configuration`, `reload`, `startup`: the filter as a part of Envoy
//!
//! The programs are found by environment variables that `make test` sets; without them a test fails, and says so.
#![cfg(not(target_family = "wasm"))]

mod answers;
mod basic_auth;
mod bodies;
mod configuration;
mod dashboards;
mod deployments;
mod ext_authz;
mod foreign;
#[path = "../generator/mod.rs"]
mod generator;
mod getting_started;
mod grafana;
mod headers;
mod hostile;
mod kubernetes;
mod limits;
mod paths;
mod picture;
mod queries;
mod reload;
mod retention;
mod samples;
mod selectors;
mod smuggling;
mod sources;
mod startup;
mod stats;
mod stores;
mod support;
mod times;
mod trail;
mod trap;
mod upstream;
