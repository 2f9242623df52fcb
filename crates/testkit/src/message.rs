//! Just enough HTTP/1.1 for a fake client and a fake upstream. Shares nothing with the engine's own
//! codec, so that the two can't be wrong in the same way.

use tokio::io::{AsyncRead, AsyncReadExt};

/// A message as it was received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// Its first line.
    pub(crate) start: String,
    /// Its fields.
    pub(crate) headers: Vec<(String, String)>,
    /// Its body, chunks put together.
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The values of a field.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Whether a field has this value: one of its lines, or all of them joined.
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        let values = self.values(name);
        values.contains(&value) || !values.is_empty() && values.join(", ") == value
    }
}

/// Reads a message; none where the stream ended before it. Interim responses are passed over.
/// `bodiless` says that a response has no body whatever its head says.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
    bodiless: bool,
) -> Option<Message> {
    loop {
        let mut message = head(stream, held).await?;
        if message.start.starts_with("HTTP/1.1 1") {
            continue;
        }
        message.body = body(stream, held, &message, bodiless).await?;
        return Some(message);
    }
}

/// Reads a message's head; none where the stream ended before it.
pub(crate) async fn head(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
) -> Option<Message> {
    let end = until(stream, held, b"\r\n\r\n").await?;
    let head: Vec<u8> = held.drain(..end).collect();
    Some(head_of(&String::from_utf8_lossy(&head)))
}

/// Reads the body of the message whose head was read last.
pub(crate) async fn body(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
    head: &Message,
    bodiless: bool,
) -> Option<Vec<u8>> {
    let length = head.values("content-length").first().and_then(|text| text.parse().ok());
    if bodiless {
        Some(Vec::new())
    } else if head.has("transfer-encoding", "chunked") {
        chunks(stream, held).await
    } else if let Some(length) = length {
        exactly(stream, held, length).await
    } else if head.start.starts_with("HTTP/") {
        while more(stream, held).await.is_some() {}
        Some(std::mem::take(held))
    } else {
        Some(Vec::new())
    }
}

fn head_of(text: &str) -> Message {
    let mut lines = text.lines();
    let start = lines.next().unwrap_or_default().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Message { start, headers, body: Vec::new() }
}

async fn chunks(stream: &mut (impl AsyncRead + Unpin), held: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = until(stream, held, b"\r\n").await?;
        let line: Vec<u8> = held.drain(..end).collect();
        let size = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            while until(stream, held, b"\r\n").await? > 2 {
                let end = until(stream, held, b"\r\n").await?;
                held.drain(..end);
            }
            held.drain(..2);
            return Some(body);
        }
        let mut chunk = exactly(stream, held, size + 2).await?;
        chunk.truncate(size);
        body.append(&mut chunk);
    }
}

async fn exactly(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
    length: usize,
) -> Option<Vec<u8>> {
    while held.len() < length {
        more(stream, held).await?;
    }
    Some(held.drain(..length).collect())
}

/// Reads until `mark` is there; where it ends.
async fn until(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
    mark: &[u8],
) -> Option<usize> {
    loop {
        if let Some(at) = held.windows(mark.len()).position(|window| window == mark) {
            return Some(at + mark.len());
        }
        more(stream, held).await?;
    }
}

/// Reads a bit more; none at the end.
async fn more(stream: &mut (impl AsyncRead + Unpin), held: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(held).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

/// Writes a message, its body with `Content-Length` or, where `Transfer-Encoding` is among its
/// fields, in one chunk.
pub(crate) fn write(start: &str, headers: &[(String, String)], body: &str) -> Vec<u8> {
    let mut text = format!("{start}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let is = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if is("transfer-encoding") {
        text.push_str(&format!("\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    } else if body.is_empty() && !start.starts_with("HTTP/") || is("content-length") {
        text.push_str(&format!("\r\n{body}"));
    } else {
        text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    }
    text.into_bytes()
}
