//! Cases as text: requests, and what comes of them. The form stands at the head of each file.

/// A case.
pub struct Case {
    /// Its name.
    pub name: String,
    /// What is sent.
    pub request: Vec<u8>,
    /// What comes of it, as [`crate::answers::told`] tells it.
    pub expected: String,
}

impl Case {
    /// Responses expected.
    pub fn responses(&self) -> usize {
        self.expected.lines().filter(|line| line.starts_with('<')).count()
    }
}

/// The cases of a file.
pub fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case {
                name: name.to_owned(),
                request: Vec::new(),
                expected: String::new(),
            });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(bytes) = line.strip_prefix(">> ") {
            case.request.extend(unescaped(bytes));
        } else if let Some(bytes) = line.strip_prefix("> ").or(line.strip_prefix('>')) {
            case.request.extend(unescaped(bytes));
            case.request.extend(b"\r\n");
        } else if line.starts_with(['<', '=']) {
            case.expected.push_str(line);
            case.expected.push('\n');
        } else {
            assert!(line.is_empty(), "{}: what is this line: {line}", case.name);
        }
    }
    cases
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next().expect("an escape") {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'x' => {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                let digits = std::str::from_utf8(&digits).expect("ASCII");
                u8::from_str_radix(digits, 16).expect("hexadecimal")
            }
            other => panic!("an unknown escape: {}", char::from(other)),
        });
    }
    out
}
