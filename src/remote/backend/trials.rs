//! What a place is asked when it is tried out, and never else.

use super::{BackendError, Key, ListSink};

/// Requests of which the answers tell how a store works. Nothing is repeated.
pub trait Trials: Send + Sync {
    /// Lists as [`Backend::list`](super::Backend::list) does, with at most `size` keys to a page;
    /// tells how many pages came.
    fn list_in_pages(
        &self,
        prefix: &str,
        size: usize,
        each: &mut ListSink<'_>,
    ) -> Result<usize, BackendError>;

    /// Sends `bytes` as `key` with one bit changed after they were signed, as a bad line would do it.
    fn put_changed(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError>;
}
