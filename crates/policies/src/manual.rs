//! Manual pages are the comments at the head of the policies' modules: written once, read in the
//! code, in `docs/manual/` and in the console.

/// The manual page of the module this stands in: the text of its `//!` lines.
macro_rules! manual {
    () => {{
        const SOURCE: &str = include_str!("mod.rs");
        const TEXT: [u8; $crate::manual::len(SOURCE)] = $crate::manual::text(SOURCE);
        match std::str::from_utf8(&TEXT) {
            Ok(text) => text,
            Err(_) => panic!("the module's comment is no text"),
        }
    }};
}

pub(crate) use manual;

/// Bytes of the comment at the head of `source`.
pub(crate) const fn len(source: &str) -> usize {
    walk(source.as_bytes(), &mut [])
}

/// The comment at the head of `source`, whose length is `LEN`.
pub(crate) const fn text<const LEN: usize>(source: &str) -> [u8; LEN] {
    let mut out = [0; LEN];
    walk(source.as_bytes(), &mut out);
    out
}

/// Copies the comment into `out` where that has room, and gives its length.
#[allow(clippy::indexing_slicing, reason = "runs while this is compiled, never after")]
const fn walk(source: &[u8], out: &mut [u8]) -> usize {
    let (mut at, mut len) = (0, 0);
    while at + 2 < source.len()
        && source[at] == b'/'
        && source[at + 1] == b'/'
        && source[at + 2] == b'!'
    {
        at += 3;
        if at < source.len() && source[at] == b' ' {
            at += 1;
        }
        while at < source.len() {
            if len < out.len() {
                out[len] = source[at];
            }
            len += 1;
            at += 1;
            if source[at - 1] == b'\n' {
                break;
            }
        }
    }
    len
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_is_the_comment_without_its_marks() {
        const SOURCE: &str = "//! One.\n//!\n//!   - two\nuse x;\n//! not this\n";
        const TEXT: [u8; super::len(SOURCE)] = super::text(SOURCE);
        assert_eq!(TEXT, *b"One.\n\n  - two\n");
        assert_eq!(super::len("use x;\n"), 0);
    }
}
