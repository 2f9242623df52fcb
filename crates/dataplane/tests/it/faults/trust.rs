//! Section D: trust in paths, hosts and header fields.
