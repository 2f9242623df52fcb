//! Section G: clients that use up what there is.
