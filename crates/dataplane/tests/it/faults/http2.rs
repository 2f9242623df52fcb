//! Section B: HTTP/2.
