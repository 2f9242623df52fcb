//! A client that sends raw bytes, split wherever it is told.
