//! A proxy that delays, limits, stalls, resets, half-closes and corrupts connections; seeded.
