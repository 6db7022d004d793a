//! Tests that look at mlv from outside, in one binary: each further one links everything again.

mod docs;
mod install;
