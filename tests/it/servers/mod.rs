//! Remotes on real servers: what every backend must do, and what users do through each.

mod azure;
mod conformance;
mod credentials;
mod endpoints;
mod gcs;
mod http;
mod proxied;
mod renewal;
mod s3;
mod ssh;
mod tls;
