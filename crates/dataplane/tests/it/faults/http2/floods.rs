//! Floods of frames that carry nothing, and settings that ask for too much.

use std::time::Duration;

use testkit::attack::frames::{Block, Frame, code, flag, kind, setting};

use super::house::{Client, Does, House, Said, goodbye, said, up};

/// Frames that cost an answer or a look, and carry nothing.
fn floods() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("pings", Frame::ping(7).bytes()),
        ("settings", Frame::settings(&[]).bytes()),
        ("a window of streams to and fro", {
            let closed = Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]).bytes();
            let open = Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)]).bytes();
            [closed, open].concat()
        }),
        ("priorities", Frame::priority(1, 0).bytes()),
        ("priorities of streams to come", Frame::priority(9_999, 0).bytes()),
        ("unknown frames", Frame::new(kind::UNKNOWN, 0, 0, [0; 8]).bytes()),
        ("large unknown frames", Frame::new(kind::UNKNOWN, 0, 1, vec![0; 16_384]).bytes()),
        ("window updates", Frame::window_update(0, 1).bytes()),
        ("resets of a stream that has ended", Frame::reset(1, code::CANCEL).bytes()),
        ("answers to pings that never were", Frame::new(kind::PING, 0, 0, [1; 8]).bytes()),
    ]
}

/// Fifty thousand of each, from a client that reads no answer: it is cut off, long before its
/// answers have filled anything.
///
/// Seen to fail: without the charge in `Conduct::pay`, those that need no answer are taken to the
/// last, and the others wait for the client for as long as the connection may be idle.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B11_a_floods_of_frames_that_carry_nothing() {
    for (name, frame) in floods() {
        let house = House::new(Does::Answer);
        let mut client = house.client().await;
        client.send(&Frame::head(1, true, &up("GET"))).await;
        assert_eq!(said(&mut client, 1).await, Said::Status(200));
        let many = frame.repeat(500);
        let mut sent = 0;
        while sent < 50_000 && client.send_bytes(&many).await {
            house.settle().await;
            sent += 500;
        }
        assert!(sent <= 2_000, "{name}: {sent}");
        let answers = client.rest().await;
        // What was read already when it was enough is still answered: 8 KiB.
        assert!(answers.len() <= 1_600, "{name}: {}", answers.len());
        let last = answers.iter().rfind(|frame| frame.kind == kind::GOAWAY);
        let last = last.unwrap_or_else(|| panic!("{name}: it is not told"));
        assert_eq!(last.error(), code::ENHANCE_YOUR_CALM, "{name}");
        house.serves_others().await;
    }
}

/// A client whose socket takes nothing more: what waits for it is a few kibibytes, and it is cut
/// off though it never reads why.
///
/// Seen to fail: with a `poll_idle` that is never ready, it stays.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B11_b_a_flood_from_who_takes_nothing() {
    let house = House::new(Does::Answer);
    let mut stream = house.connect("web", 1 << 10);
    let hello = [testkit::attack::frames::PREFACE, &Frame::settings(&[]).bytes()].concat();
    let flood = [hello, Frame::ping(1).bytes().repeat(50_000)].concat();
    let write = tokio::io::AsyncWriteExt::write_all(&mut stream, &flood);
    let cut = tokio::time::timeout(Duration::from_secs(600), async {
        let passing = async {
            loop {
                house.pass(Duration::from_secs(10)).await;
            }
        };
        tokio::select! {
            done = write => done.is_err(),
            () = passing => unreachable!("it goes on"),
        }
    });
    assert_eq!(cut.await, Ok(true));
    house.serves_others().await;
}

/// As many as come of honest work: pings now and then, a window update for each piece, a priority
/// for each request. Nobody minds.
///
/// Seen to fail: without the credit in `Conduct::earn` the requests' own frames are too many.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B11_c_frames_that_go_with_honest_work() {
    let house = House::new(Does::Answer);
    let mut client = house.client().await;
    for request in 0..600 {
        let stream = request * 2 + 1;
        let honest = [
            Frame::priority(stream, 0),
            Frame::head(stream, true, &up("GET")),
            Frame::ping(request.into()),
            Frame::window_update(0, 2),
        ];
        for frame in honest {
            client.send(&frame).await;
        }
        assert_eq!(said(&mut client, stream).await, Said::Status(200));
    }
    for ping in 0..700 {
        client.send(&Frame::ping(ping)).await;
    }
    house.still_answers(&mut client, 2_001).await;
}

/// Empty pieces of a body: after a hundred it is enough.
///
/// Seen to fail: the bound is the h2 crate's, `MAX_RECV_EMPTY_DATA_FRAMES`.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B09_a_empty_data() {
    let house = House::new(Does::Answer);
    let mut client = house.client().await;
    client.send(&Frame::head(1, false, &up("POST"))).await;
    let mut sent = 0;
    while sent < 100_000 && client.send(&Frame::data(1, false, b"")).await {
        house.settle().await;
        sent += 1;
    }
    assert!(sent <= 1_000, "{sent}");
    assert_eq!(goodbye(&mut client).await, code::ENHANCE_YOUR_CALM);
    house.serves_others().await;
}

/// Heads without a single field: each stream is reset, and these resets count.
///
/// Seen to fail: without the charge in `Conduct::reset` they go on until `FAULTS_MAX`.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B09_b_empty_heads() {
    let house = House::new(Does::Answer);
    let mut client = house.client().await;
    let mut sent = 0;
    while sent < 100_000 && client.send(&Frame::head(sent * 2 + 1, true, &Block::new())).await {
        house.settle().await;
        sent += 1;
    }
    assert!(sent <= 60, "{sent}");
    assert_eq!(goodbye(&mut client).await, code::ENHANCE_YOUR_CALM);
    house.origin_saw_nothing();
}

async fn send_byte_by_byte(house: &House, client: &mut Client, bytes: usize) -> usize {
    client.send(&Frame::head(1, false, &up("POST"))).await;
    let piece = Frame::data(1, false, b"y").bytes().repeat(50);
    let mut sent = 0;
    while sent < bytes && client.send_bytes(&piece).await {
        house.settle().await;
        sent += 50;
    }
    sent
}

/// A body byte by byte: as long as the origin takes it, it arrives as it was sent.
///
/// Seen to fail: with `GATHER_BELOW` at 0, each byte is a chunk of its own.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B10_a_a_body_byte_by_byte() {
    let house = House::new(Does::Answer);
    let mut client = house.client().await;
    assert_eq!(send_byte_by_byte(&house, &mut client, 100_000).await, 100_000);
    client.send(&Frame::data(1, true, b"z")).await;
    assert_eq!(said(&mut client, 1).await, Said::Status(200));
    let requests = house.origin.requests.borrow();
    let (_, body) = requests[0].split_once("\r\n\r\n").expect("a body");
    assert_eq!(body.matches('y').count(), 100_000);
    assert!(body.len() < 120_000, "bytes that came together go together: {}", body.len());
}

/// When nobody takes it, a few thousand single bytes may wait; then the client is told.
///
/// Seen to fail: the budget is the h2 crate's; with `data_frame_budget(1 << 30)` they wait on.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B10_b_a_body_byte_by_byte_that_nobody_takes() {
    let house = House::new(Does::Hold);
    let mut client = house.client().await;
    let sent = send_byte_by_byte(&house, &mut client, 100_000).await;
    assert!(sent < 20_000, "{sent}");
    assert_eq!(goodbye(&mut client).await, code::ENHANCE_YOUR_CALM);
}

/// Settings beyond reason: a table of 4 GiB makes no larger one here, values the protocol does not
/// have end the connection.
///
/// Seen to fail: the checks are the h2 crate's; version 0.4.16 takes the table.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B12_settings_beyond_reason() {
    let house = House::new(Does::Answer);
    let mut client = house.client_with(&[(setting::HEADER_TABLE_SIZE, u32::MAX)]).await;
    client.send(&Frame::head(1, true, &up("GET"))).await;
    let head = client.next_of(&[kind::HEADERS]).await.expect("an answer");
    let sizes: Vec<u8> =
        head.payload.iter().copied().take_while(|byte| byte >> 5 == 1 || *byte >= 0x80).collect();
    // 4096 is written 0x3f 0xe1 0x1f; a larger table would be announced by a larger number.
    assert!(sizes.len() <= 6, "{sizes:02x?}");
    let wrong = [
        (setting::MAX_FRAME_SIZE, 1),
        (setting::MAX_FRAME_SIZE, 1 << 24),
        (setting::INITIAL_WINDOW_SIZE, 1 << 31),
        (setting::ENABLE_PUSH, 2),
    ];
    for setting in wrong {
        let mut client = house.client_with(&[setting]).await;
        let reason = goodbye(&mut client).await;
        let told = [code::PROTOCOL_ERROR, code::FLOW_CONTROL_ERROR];
        assert!(told.contains(&reason), "{setting:?}: {reason}");
    }
    house.serves_others().await;
}

/// A frame that says it is larger than any may be is refused by its head, before a byte of it has
/// come.
///
/// Seen to fail: the check is the h2 crate's; with `max_frame_size` at its most it waits for 16
/// MiB.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B13_a_frame_larger_than_any_may_be() {
    for kind in [kind::DATA, kind::HEADERS, kind::PING, kind::UNKNOWN] {
        let house = House::new(Does::Answer);
        let mut client = house.client().await;
        let frame = Frame::new(kind, flag::END_HEADERS, 1, []);
        client.send_bytes(&frame.claiming((1 << 24) - 1)).await;
        assert_eq!(goodbye(&mut client).await, code::FRAME_SIZE_ERROR, "{kind}");
        house.serves_others().await;
    }
}
