//! Turns objects of the cache into files of a work tree.
