//! The real filter, in a proxy that is simulated: what goes upstream, what comes back, whatever client, upstream and host do.
//!
//! - `harness`: the simulation; `simulation`: that it behaves as Envoy does
//! - `enforcement`, `refusals`, `bodies`, `answers`: what the filter is for
//! - `grpc`: the same for gRPC
//! - `call_outs`: questions to the upstream before a decision
//! - `alertmanager`: questions with a body that is held back, and bodies that are sent in parts
//! - `leases`: how many queries run at the same time
//! - `tenants`: who is asking, by what the proxy says of the client; `trail`: what is left for the operator
//! - `dry_run`: everything is decided, nothing is enforced
//! - `hostile`, `soup`: hosts and clients that break every rule
//! - `config`: configurations; `cost`: host calls; `stats`: what is counted

mod alertmanager;
mod answers;
mod bodies;
mod call_outs;
mod config;
mod cost;
mod dry_run;
mod enforcement;
/// Metadata as Envoy writes it.
#[path = "../../src/bin/tenancyctl/evidence.rs"]
#[allow(dead_code)]
mod evidence;
mod grpc;
mod harness;
mod hostile;
mod leases;
mod refusals;
mod simulation;
mod size;
mod soup;
mod stats;
mod tenants;
mod trail;
