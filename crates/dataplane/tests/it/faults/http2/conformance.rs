//! What RFC 9113 and RFC 7541 ask of a server, section by section, as conformance suites do.

use testkit::attack::frames::{Block, Frame, code, flag, kind, setting};

use super::house::{Client, Does, House, here, up};

/// What is to come of it.
#[derive(Clone, Copy, Debug)]
enum Comes {
    /// The answer to a ping: the connection goes on.
    Pong,
    /// An answer of 200 on this stream.
    Answer(u32),
    /// The stream is reset with one of these, or the connection ends with one of them.
    Reset(u32, &'static [u32]),
    /// The connection ends with one of these.
    End(&'static [u32]),
}

use Comes::{Answer, End, Pong, Reset};

const PROTOCOL: &[u32] = &[code::PROTOCOL_ERROR];
const CLOSED: &[u32] = &[code::STREAM_CLOSED, code::PROTOCOL_ERROR];
const SIZE: &[u32] = &[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR];
const WINDOW: &[u32] = &[code::FLOW_CONTROL_ERROR, code::PROTOCOL_ERROR];
const TABLE: &[u32] = &[code::COMPRESSION_ERROR, code::PROTOCOL_ERROR];

/// What is sent, and what is to come of it.
type Case = (&'static str, Vec<Frame>, Comes);

fn get(stream: u32) -> Frame {
    Frame::head(stream, true, &here())
}

fn post(stream: u32) -> Frame {
    Frame::head(stream, false, &up("POST"))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Frame {
    Frame::new(kind, flags, stream, payload)
}

/// §4 and §5: frames, heads, streams.
fn frames_and_streams() -> Vec<Case> {
    let block = here();
    let (first, rest) = block.bytes().split_at(7);
    let opening = |flags| frame(kind::HEADERS, flags, 1, first);
    let in_parts = vec![opening(flag::END_STREAM), Frame::continuation(1, true, rest)];
    let reserved = Frame { stream: 0x8000_0001, ..get(1) };
    vec![
        ("4.1 an unknown type", vec![frame(kind::UNKNOWN, 0, 0, b"x"), Frame::ping(1)], Pong),
        ("4.1 flags nobody knows", vec![frame(kind::PING, 0xfe, 0, &[0; 8])], Pong),
        ("4.1 a reserved bit", vec![reserved], Answer(1)),
        ("4.2 as large as may be", vec![post(1), Frame::data(1, true, &[0; 16_384])], Answer(1)),
        ("4.2 larger data", vec![post(1), Frame::data(1, true, &[0; 16_385])], Reset(1, SIZE)),
        ("4.2 larger head", vec![frame(kind::HEADERS, 5, 1, &[0; 16_385])], End(SIZE)),
        ("4.3 a block that is none", vec![frame(kind::HEADERS, 5, 1, &[0x80])], End(TABLE)),
        ("4.3 a priority within", vec![opening(0), Frame::priority(3, 0)], End(PROTOCOL)),
        ("4.3 another head within", vec![opening(0), get(3)], End(PROTOCOL)),
        (
            "4.3 unknown frames within",
            vec![opening(0), frame(kind::UNKNOWN, 0, 0, b"")],
            End(PROTOCOL),
        ),
        ("5.1 idle: data", vec![Frame::data(1, true, b"x")], End(CLOSED)),
        ("5.1 idle: reset", vec![Frame::reset(1, 8)], End(PROTOCOL)),
        ("5.1 idle: window", vec![Frame::window_update(1, 9)], End(PROTOCOL)),
        ("5.1 idle: continuation", vec![Frame::continuation(1, true, b"")], End(PROTOCOL)),
        ("5.1 idle: priority", vec![Frame::priority(1, 0), Frame::ping(1)], Pong),
        ("5.1 half-closed: data", vec![get(1), Frame::data(1, true, b"x")], Reset(1, CLOSED)),
        ("5.1 half-closed: head", vec![get(1), get(1)], Reset(1, CLOSED)),
        (
            "5.1 reset: data",
            vec![post(1), Frame::reset(1, 8), Frame::data(1, true, b"x")],
            Reset(1, CLOSED),
        ),
        ("5.1 reset: head", vec![post(1), Frame::reset(1, 8), get(1)], End(CLOSED)),
        ("5.1.1 an even number", vec![get(2)], End(PROTOCOL)),
        ("5.1.1 a smaller number", vec![get(5), get(3)], End(PROTOCOL)),
        ("5.3.1 a head that depends on itself", vec![depends_on_itself()], Reset(1, PROTOCOL)),
        ("5.3.1 a priority that does", vec![post(1), Frame::priority(1, 1)], Reset(1, PROTOCOL)),
        ("6.10 a head in parts", in_parts, Answer(1)),
        (
            "6.10 parts of stream 0",
            vec![opening(0), Frame::continuation(0, true, rest)],
            End(PROTOCOL),
        ),
        (
            "6.10 parts of another",
            vec![opening(0), Frame::continuation(3, true, rest)],
            End(PROTOCOL),
        ),
        (
            "6.10 parts after the end",
            vec![get(1), Frame::continuation(1, true, rest)],
            End(PROTOCOL),
        ),
        (
            "6.10 parts after data",
            vec![post(1), Frame::data(1, true, b""), Frame::continuation(1, true, b"")],
            End(PROTOCOL),
        ),
    ]
}

fn depends_on_itself() -> Frame {
    let mut payload = vec![0, 0, 0, 1, 16];
    payload.extend_from_slice(here().bytes());
    frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM | flag::PRIORITY, 1, &payload)
}

/// §6: each type of frame.
fn types_of_frames() -> Vec<Case> {
    let set = |id, value| vec![Frame::settings(&[(id, value)])];
    let padded = frame(kind::HEADERS, 5 | flag::PADDED, 1, &[200, 0x82]);
    vec![
        ("6.1 data of stream 0", vec![Frame::data(0, true, b"x")], End(PROTOCOL)),
        (
            "6.1 padding too long",
            vec![post(1), frame(kind::DATA, flag::PADDED, 1, &[9, 0])],
            End(PROTOCOL),
        ),
        ("6.1 padded data", vec![post(1), Frame::padded(1, true, b"x", 9)], Answer(1)),
        ("6.2 a head of stream 0", vec![get(0)], End(PROTOCOL)),
        ("6.2 padding too long", vec![padded], End(PROTOCOL)),
        ("6.3 a priority of stream 0", vec![Frame::priority(0, 1)], End(PROTOCOL)),
        (
            "6.3 a priority of four bytes",
            vec![get(1), frame(kind::PRIORITY, 0, 1, &[0; 4])],
            Reset(1, SIZE),
        ),
        ("6.4 a reset of stream 0", vec![Frame::reset(0, 8)], End(PROTOCOL)),
        (
            "6.4 a reset of three bytes",
            vec![post(1), frame(kind::RST_STREAM, 0, 1, &[0; 3])],
            End(SIZE),
        ),
        ("6.5 an answer with settings", vec![frame(kind::SETTINGS, 1, 0, &[0; 6])], End(SIZE)),
        ("6.5 settings of a stream", vec![frame(kind::SETTINGS, 0, 1, b"")], End(PROTOCOL)),
        ("6.5 settings of five bytes", vec![frame(kind::SETTINGS, 0, 0, &[0; 5])], End(SIZE)),
        ("6.5.2 push 2", set(setting::ENABLE_PUSH, 2), End(PROTOCOL)),
        ("6.5.2 window of 2 GiB", set(setting::INITIAL_WINDOW_SIZE, 1 << 31), End(WINDOW)),
        ("6.5.2 frames too small", set(setting::MAX_FRAME_SIZE, 16_383), End(PROTOCOL)),
        ("6.5.2 frames too large", set(setting::MAX_FRAME_SIZE, 1 << 24), End(PROTOCOL)),
        ("6.5.2 an unknown one", vec![Frame::settings(&[(0xff, 1)]), Frame::ping(1)], Pong),
        (
            "6.6 a promise of a client",
            vec![get(1), frame(kind::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])],
            End(PROTOCOL),
        ),
        ("6.7 a ping", vec![Frame::ping(1)], Pong),
        ("6.7 a ping's answer", vec![frame(kind::PING, 1, 0, &[1; 8]), Frame::ping(1)], Pong),
        ("6.7 a ping of a stream", vec![frame(kind::PING, 0, 1, &[0; 8])], End(PROTOCOL)),
        ("6.7 a ping of six bytes", vec![frame(kind::PING, 0, 0, &[0; 6])], End(SIZE)),
        ("6.8 a goodbye of a stream", vec![frame(kind::GOAWAY, 0, 1, &[0; 8])], End(PROTOCOL)),
        ("6.9 a window of 0 more", vec![Frame::window_update(0, 0)], End(PROTOCOL)),
        ("6.9 a stream's of 0 more", vec![post(1), Frame::window_update(1, 0)], Reset(1, PROTOCOL)),
        ("6.9 three bytes", vec![frame(kind::WINDOW_UPDATE, 0, 0, &[0; 3])], End(SIZE)),
        ("6.9.1 more than there can be", vec![Frame::window_update(0, 0x7fff_ffff)], End(WINDOW)),
        ("6.9.1 a stream's", vec![post(1), Frame::window_update(1, 0x7fff_ffff)], Reset(1, WINDOW)),
    ]
}

/// §8 and RFC 7541: messages, tables.
fn messages_and_tables() -> Vec<Case> {
    let head = |block: Block| vec![Frame::head(1, true, &block)];
    let trailers = |ends, block: Block| {
        vec![post(1), Frame::data(1, false, b"x"), Frame::head(1, ends, &block)]
    };
    let pseudo = || Block::new().field(":method", "GET").field(":scheme", "http");
    vec![
        ("8.1 trailers", trailers(true, Block::new().field("a", "b")), Answer(1)),
        (
            "8.1 trailers that do not end",
            trailers(false, Block::new().field("a", "b")),
            Reset(1, PROTOCOL),
        ),
        (
            "8.1 pseudo trailers",
            trailers(true, Block::new().field(":method", "GET")),
            Reset(1, PROTOCOL),
        ),
        ("8.2.1 an upper-case name", head(here().field("X", "y")), Reset(1, PROTOCOL)),
        ("8.2.2 connection", head(here().field("connection", "close")), Reset(1, PROTOCOL)),
        ("8.2.2 te", head(here().field("te", "trailers, deflate")), Reset(1, PROTOCOL)),
        ("8.3 an unknown pseudo field", head(here().field(":test", "x")), Reset(1, PROTOCOL)),
        ("8.3 a response's", head(here().field(":status", "200")), Reset(1, PROTOCOL)),
        ("8.3 a late one", head(pseudo().field("a", "b").field(":path", "/")), Reset(1, PROTOCOL)),
        ("8.3.1 an empty path", head(Block::request("GET", "", "here.test")), Reset(1, PROTOCOL)),
        (
            "8.3.1 no method",
            head(Block::new().field(":scheme", "http").field(":path", "/")),
            Reset(1, PROTOCOL),
        ),
        ("8.3.1 no path", head(pseudo()), Reset(1, PROTOCOL)),
        ("8.3.1 a field twice", head(here().field(":path", "/")), Reset(1, PROTOCOL)),
        (
            "8.1.1 a wrong length",
            vec![
                Frame::head(1, false, &up("POST").field("content-length", "1")),
                Frame::data(1, true, b"two"),
            ],
            Reset(1, PROTOCOL),
        ),
        ("HPACK 2.3.3 a number that is not there", head(Block::new().indexed(70)), End(TABLE)),
        ("HPACK 4.2 a late update", head(here().table_size(1)), End(TABLE)),
        (
            "HPACK 5.2 a code that is none",
            head(Block::new().raw(&[0, 0x81, 0xff, 0x81, 0xff])),
            End(TABLE),
        ),
        ("HPACK 6.1 number 0", head(Block::new().indexed(0)), End(TABLE)),
        ("HPACK 6.3 too large an update", head(Block::new().table_size(70_000)), End(TABLE)),
    ]
}

/// Where the h2 crate does otherwise than the RFC says, and why that is borne.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("8.1 pseudo trailers", "dropped: they reach nobody, and the request is what it was"),
    ("8.3.1 no path", "answered with 400 instead of a reset: nothing is served"),
];

async fn comes(client: &mut Client, wanted: Comes) -> Result<(), String> {
    let mut seen = Vec::new();
    while let Some(frame) = client.next().await {
        let met = match (wanted, frame.kind) {
            (Pong, kind::PING) => frame.has(flag::ACK),
            (Answer(stream), kind::HEADERS) => {
                frame.stream == stream && frame.status() == Some(200)
            }
            (Reset(stream, codes), kind::RST_STREAM) => {
                frame.stream == stream && codes.contains(&frame.error())
            }
            (Reset(_, codes) | End(codes), kind::GOAWAY) => codes.contains(&frame.error()),
            _ => false,
        };
        if met {
            return Ok(());
        }
        seen.push(frame);
    }
    Err(format!("{seen:?}"))
}

/// Every case gives what the RFC says, or stands in the list of exceptions.
///
/// Seen to fail: the checks are the h2 crate's; with the answer to any one case written wrong, its
/// name is told.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B17_what_the_rfc_says() {
    let mut wrong = Vec::new();
    let cases = frames_and_streams().into_iter().chain(types_of_frames());
    for (name, frames, wanted) in cases.chain(messages_and_tables()) {
        let house = House::new(Does::Answer);
        let mut client = house.client().await;
        for frame in &frames {
            client.send(frame).await;
            house.settle().await;
        }
        let told =
            tokio::time::timeout(std::time::Duration::from_secs(30), comes(&mut client, wanted));
        let told = told.await.unwrap_or_else(|_| Err("nothing".to_owned()));
        if EXCEPTIONS.iter().any(|(known, _)| *known == name) {
            if told.is_ok() {
                wrong.push(format!("{name} is no exception any more"));
            }
        } else if let Err(seen) = told {
            wrong.push(format!("{name}: {wanted:?}, but {seen}"));
        }
        house.serves_others().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
