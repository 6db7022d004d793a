//! How threads are used: the only place that sizes pools.
//!
//! CPU work goes through rayon's scoped threads started on first use, so that commands
//! that need none do not pay for them.
