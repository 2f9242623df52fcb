//! Header fields: found, changed, and written as they came.

use super::*;

fn block() -> Headers {
    let text = b"Host: a\r\nX-One:  1 \r\nAccept: x\r\nAccept: y\r\n";
    let mut headers = Headers::new();
    let at = headers.add_block(text);
    headers.add_line(at, Known::Host, 0..4, 6..7);
    headers.add_line(at, Known::Other, 9..14, 17..18);
    headers.add_line(at, Known::Accept, 21..27, 29..30);
    headers.add_line(at, Known::Accept, 32..38, 40..41);
    headers
}

fn written(headers: &Headers) -> String {
    let mut out = Vec::new();
    headers.write_lines(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn fields_are_found_by_name_in_any_case() {
    let headers = block();
    assert_eq!(headers.get(Known::Host), Some(&b"a"[..]));
    assert_eq!(headers.get(&Name::new("x-ONE").unwrap()), Some(&b"1"[..]));
    assert_eq!(headers.all(Known::Accept).collect::<Vec<_>>(), [b"x", b"y"]);
    assert!(!headers.has(Known::Te));
}

#[test]
fn lines_are_written_as_they_came_but_for_odd_spaces() {
    assert_eq!(written(&block()), "Host: a\r\nX-One: 1\r\nAccept: x\r\nAccept: y\r\n");
}

#[test]
fn changes_keep_the_others_in_order() {
    let mut headers = block();
    assert!(headers.remove(&Name::new("X-One").unwrap()));
    assert!(headers.set_known(Known::Host, "b"));
    assert_eq!(written(&headers), "Accept: x\r\nAccept: y\r\nhost: b\r\n");
}

#[test]
fn nothing_that_could_end_a_line_is_taken() {
    let mut headers = Headers::new();
    for (name, value) in [("a b", "x"), ("", "x"), ("a:", "x"), ("a", "x\r\nb: y"), ("a", "x\0")] {
        assert!(!headers.append(name, value), "{name:?}: {value:?} was taken");
    }
    assert!(headers.is_empty());
}
