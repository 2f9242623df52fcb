//! Section A: HTTP/1 framing and smuggling.
