//! Tests that look at mlv from outside, in one binary: each further one links everything again.

mod budgets;
mod cli;
mod docs;
mod faults;
mod generated;
mod hostile;
mod install;
mod layers;
mod remote;
mod roundtrip;
mod servers;
mod support;
mod together;
mod workflows;
