//! Mutations of requests, seeded.
