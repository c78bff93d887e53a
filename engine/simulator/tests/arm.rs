//! The rules of the simulated Resource Manager, as tables: requests in, status, error code and headers out. Everything
//! goes through the face in process; the machines behind it are empty shells.

// Clippy knows tests by their harness, and helpers stand beside them here.
#![allow(clippy::unwrap_used)]

#[path = "arm/bench.rs"]
mod bench;
#[path = "arm/catalogue.rs"]
mod catalogue;
#[path = "arm/compute.rs"]
mod compute;
#[path = "arm/groups.rs"]
mod groups;
#[path = "arm/network.rs"]
mod network;
#[path = "arm/operations.rs"]
mod operations;
#[path = "arm/wire.rs"]
mod wire;
