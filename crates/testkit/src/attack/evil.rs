//! An upstream that misbehaves as told.
