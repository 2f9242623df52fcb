//! Mutations of requests, seeded: conversations that nearly follow HTTP/1.1, each broken in a few
//! of the ways that readers have been seen to disagree about.

use fastrand::Rng;

/// What follows every conversation: a request that is well-formed and ends the connection.
pub const MARK: &str = "GET /mark HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

/// Well-formed requests, as different readers frame them.
const REQUESTS: [&str; 14] = [
    "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a?b=c HTTP/1.1\r\nHost: a.test\r\nX: y\r\n\r\n",
    "HEAD /h HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
    "POST /p HTTP/1.1\r\nContent-Length: 44\r\nHost: a.test\r\n\r\n\
     GET /evil HTTP/1.1\r\nHost: a.test\r\nX: yyyyy\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a.test\r\n\r\n\
     3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
     2c\r\nGET /evil HTTP/1.1\r\nHost: a.test\r\nX: yyyyy\r\n\r\n\r\n0\r\n\r\n",
    "GET /k HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n",
    "DELETE /d HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
    "GET http://a.test/abs HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "POST /e HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    "GET /u HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: other/1\r\n\r\n",
    "OPTIONS /o HTTP/1.1\r\nHost: a.test\r\nConnection: x, close-not\r\nX: 1\r\nTE: trailers\r\n\r\n",
];

/// What breaks them, put in anywhere.
const TOKENS: [&[u8]; 40] = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b"\x0b",
    b"\x0c",
    b"\x7f",
    b"\x85",
    b"\xa0",
    b"\xff",
    b":",
    b",",
    b";",
    b"0",
    b"1",
    b"5",
    b"+",
    b"-",
    b"_",
    b"0x",
    b"chunked",
    b"identity",
    b"\"",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 44\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"transfer_encoding: chunked\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b"0\r\n\r\n",
    b"GET /evil HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"Host: b.test\r\n",
    b" HTTP/1.1",
    b"/../",
    b"%2f",
    b"\r\n\r\n",
    b"Connection: close\r\n",
];

/// A source of conversations. The same seed gives the same ones.
#[derive(Clone, Debug)]
pub struct Mutator(Rng);

impl Mutator {
    /// One by this seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// The next conversation: up to three requests, broken in up to four places, and [`MARK`].
    pub fn conversation(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.0.usize(1..=3) {
            bytes.extend_from_slice(REQUESTS[self.0.usize(..REQUESTS.len())].as_bytes());
        }
        for _ in 0..self.0.usize(0..=4) {
            self.mutate(&mut bytes);
        }
        bytes.extend_from_slice(MARK.as_bytes());
        bytes
    }

    /// Breaks `bytes` in one place.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = self.place(bytes);
        match self.0.u8(..8) {
            0..=2 => drop(bytes.splice(at..at, self.token().iter().copied())),
            3 => {
                let end = (at + self.0.usize(1..=4)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + 1).min(bytes.len());
                drop(bytes.splice(at..end, self.token().iter().copied()));
            }
            5 => {
                let (start, end) = line(bytes, at);
                let again = bytes[start..end].to_vec();
                drop(bytes.splice(start..start, again));
            }
            6 => {
                let (start, end) = line(bytes, at);
                let moved: Vec<u8> = bytes.drain(start..end).collect();
                let to =
                    if bytes.is_empty() { 0 } else { line(bytes, self.0.usize(..bytes.len())).0 };
                drop(bytes.splice(to..to, moved));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = match *byte {
                        letter if letter.is_ascii_alphabetic() => letter ^ 0x20,
                        digit if digit.is_ascii_digit() => b'0' + (digit - b'0' + 1) % 10,
                        _ => self.0.u8(..),
                    };
                }
            }
        }
    }

    fn token(&mut self) -> &'static [u8] {
        TOKENS[self.0.usize(..TOKENS.len())]
    }

    /// A place; every second time one where a line starts or ends.
    fn place(&mut self, bytes: &[u8]) -> usize {
        let at = self.0.usize(..bytes.len());
        match self.0.u8(..4) {
            0 => line(bytes, at).0,
            1 => line(bytes, at).1.saturating_sub(2),
            _ => at,
        }
    }
}

/// Where the line that `at` stands in starts and ends, its end included.
fn line(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let after = bytes[at..].iter().position(|byte| *byte == b'\n');
    (before, after.map_or(bytes.len(), |end| at + end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_conversations_and_another_one_others() {
        let all = |seed| {
            let mut mutator = Mutator::seeded(seed);
            (0..1000).map(|_| mutator.conversation()).collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert!(all(1).iter().all(|one| one.ends_with(MARK.as_bytes())));
    }
}
