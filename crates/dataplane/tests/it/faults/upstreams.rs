//! Section I: upstreams that fail or lie.
