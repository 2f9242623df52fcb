//! Responses as a client reads them.

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body, out of its chunks.
    pub body: String,
}

impl Answer {
    /// The field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the connection ends with it.
    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }

    /// In one line or two: status, the refusal's code, whether the connection ends; what the
    /// upstream saw.
    pub fn told(&self) -> String {
        let problem: Option<serde_json::Value> = serde_json::from_str(&self.body).ok();
        let code = problem.and_then(|problem| Some(problem.get("code")?.as_str()?.to_owned()));
        let code = code.map(|code| format!(" {code}")).unwrap_or_default();
        let close = if self.closes() { " close" } else { "" };
        let seen = self.body.lines().next().filter(|line| line.starts_with('='));
        let seen = seen.map(|seen| format!("{}\n", seen.trim_end())).unwrap_or_default();
        format!("< {}{code}{close}\n{seen}", self.status)
    }
}

/// Takes the response that `bytes` start with, once it is all there.
pub fn take(bytes: &mut Vec<u8>) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
    let fields: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut answer = Answer { status, fields, body: String::new() };
    let length = match answer.field("content-length") {
        Some(length) => length.parse().expect("a length"),
        None => {
            assert_ne!(answer.field("transfer-encoding"), Some("chunked"), "not needed so far");
            0
        }
    };
    let body = bytes.get(end..end + length)?;
    answer.body = String::from_utf8_lossy(body).into_owned();
    bytes.drain(..end + length);
    Some(answer)
}
