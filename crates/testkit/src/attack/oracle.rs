//! An origin that logs every byte it gets and reads it strictly, as an independent judge.
