//! HTTP/2 frames as bytes, right and wrong.
