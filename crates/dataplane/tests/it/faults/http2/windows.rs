//! Windows: clients that do not take what they asked for, and those that send what they must not.

use std::time::Duration;

use testkit::attack::frames::{Frame, code, flag, kind, setting};

use super::house::{Client, Does, House, PIPE, Said, goodbye, here, nth, said, up};

const MIB: usize = 1 << 20;

/// A hundred requests for long answers on a connection with these settings.
async fn ask_for_much(house: &House, window: u32) -> Client {
    let mut client = house.client_with(&[(setting::INITIAL_WINDOW_SIZE, window)]).await;
    for request in 0..100 {
        client.send(&Frame::head(nth(request), true, &up("GET"))).await;
    }
    house.settle().await;
    client
}

/// Windows that are closed from the start: the origin is not read further than 32 KiB for any
/// stream, and after a minute all of them are given up.
///
/// Seen to fail: without the deadline in `Pump::poll_room` they wait for ever.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B07_a_closed_windows() {
    let house = House::new(Does::Send(MIB));
    let mut client = ask_for_much(&house, 0).await;
    let taken = house.origin.written.get().saturating_sub(100 * PIPE);
    assert!(taken <= 100 * (32 << 10), "{taken}");
    assert_eq!(house.origin.running.get(), 100);
    house.pass(Duration::from_secs(58)).await;
    assert_eq!(house.origin.running.get(), 100);
    house.pass(Duration::from_secs(3)).await;
    assert_eq!(house.origin.running.get(), 0);
    client.send(&Frame::ping(1)).await;
    let mut reset = 0;
    while let Some(frame) = client.next().await.filter(|frame| frame.kind != kind::PING) {
        if frame.kind == kind::RST_STREAM {
            assert_eq!(frame.error(), code::CANCEL);
            reset += 1;
        }
    }
    assert_eq!(reset, 100);
    client.send(&Frame::head(nth(100), true, &here())).await;
    client.send(&Frame::window_update(nth(100), 1_000)).await;
    assert_eq!(client.response(nth(100)).await.0, 200);
}

/// Windows that close halfway: what was read of the origin and waits for them is bounded. Large
/// pieces are counted in the test of the process.
///
/// Seen to fail: with a `Pump::poll_room` that does not look at windows, all of it waits.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B07_b_windows_that_close_halfway() {
    let house = House::new(Does::Send(MIB));
    let mut client = house.client_with(&[(setting::INITIAL_WINDOW_SIZE, 100_000)]).await;
    client.send(&Frame::window_update(0, 0x7000_0000)).await;
    for request in 0..100 {
        client.send(&Frame::head(nth(request), true, &up("GET"))).await;
    }
    let mut received = 0;
    while received < 100 * 60_000 {
        let frame = client.next_of(&[kind::DATA]).await.expect("data comes");
        received += frame.payload.len();
    }
    house.settle().await;
    let held = house.origin.written.get() - received;
    assert!(held <= 4 * MIB + 100 * PIPE, "{held}");
}

/// A client that reads nothing at all, its windows wide open: what waits for it is bounded.
///
/// Seen to fail: with `SEND_BUFFER` at 64 KiB, 8 MiB wait.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B07_c_windows_wide_open_and_nobody_reads() {
    let house = House::new(Does::Send(MIB));
    let mut client = house.client_with(&[(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)]).await;
    client.send(&Frame::window_update(0, 0x7000_0000)).await;
    for request in 0..100 {
        client.send(&Frame::head(nth(request), true, &up("GET"))).await;
    }
    house.settle().await;
    let held = house.origin.written.get().saturating_sub(MIB);
    assert!(held <= 4 * MIB, "{held}");
    house.pass(Duration::from_secs(61)).await;
    assert_eq!(house.origin.running.get(), 0, "nobody is waited for for ever");
}

/// A window opened by a byte every now and then: too slow is as good as not at all.
///
/// Seen to fail: with the deadline cleared by every byte, as it was, the stream goes on.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B08_a_window_opened_byte_by_byte() {
    let house = House::new(Does::Send(MIB));
    let mut client = house.client_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]).await;
    client.send(&Frame::head(1, true, &up("GET"))).await;
    for _ in 0..130 {
        client.send(&Frame::window_update(1, 1)).await;
        house.pass(Duration::from_millis(500)).await;
    }
    let frame = client.next_of(&[kind::RST_STREAM]).await.expect("it is given up");
    assert_eq!(frame.error(), code::CANCEL);
    house.settle().await;
    assert_eq!(house.origin.running.get(), 0);
}

/// A slow client that keeps to a kibibyte a second gets all of its answer.
///
/// Seen to fail: with `RATE_MIN` at 64 KiB a second it is given up.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B08_b_a_slow_client_is_served() {
    const LENGTH: usize = 300 << 10;
    let house = House::new(Does::Send(LENGTH));
    let mut client = house.client_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]).await;
    client.send(&Frame::window_update(0, 1 << 20)).await;
    client.send(&Frame::head(1, true, &up("GET"))).await;
    let mut received = 0;
    while received < LENGTH {
        client.send(&Frame::window_update(1, 20 << 10)).await;
        house.pass(Duration::from_secs(10)).await;
        let before = received;
        while received < (before + (20 << 10)).min(LENGTH) {
            let frame = client.next_of(&[kind::DATA, kind::RST_STREAM]).await.expect("data");
            assert_eq!(frame.kind, kind::DATA);
            received += frame.payload.len();
        }
    }
}

/// Uploads that the origin does not read: the client may send as much as its windows, and they are
/// not opened again.
///
/// Seen to fail: with `CONNECTION_WINDOW` at 16 MiB that much is taken.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B19_uploads_nobody_reads() {
    let house = House::new(Does::Hold);
    let mut client = house.client().await;
    let mut window = 65_535;
    let mut sent = 0;
    for request in 0..100 {
        client.send(&Frame::head(nth(request), false, &up("POST"))).await;
    }
    house.settle().await;
    let mut request = 0;
    loop {
        client.send(&Frame::ping(1)).await;
        loop {
            let frame = client.next().await.expect("the connection lives");
            match frame.kind {
                kind::WINDOW_UPDATE if frame.stream == 0 => window += increment(&frame),
                kind::PING if frame.has(flag::ACK) => break,
                _ => {}
            }
        }
        if window < 16_384 || request == 400 {
            break;
        }
        client.send(&Frame::data(nth(request % 100), false, &[b'x'; 16_384])).await;
        (window, sent, request) = (window - 16_384, sent + 16_384, request + 1);
        house.settle().await;
    }
    assert!(sent <= MIB + 100 * (32 << 10), "{sent}");
    assert!(window < 16_384, "the connection's window closes: {window}");
    client.send(&Frame::data(nth(0), false, &[b'x'; 16_384])).await;
    assert_eq!(goodbye(&mut client).await, code::FLOW_CONTROL_ERROR);
}

fn increment(frame: &Frame) -> usize {
    let bytes = frame.payload[..4].try_into().expect("four bytes");
    u32::from_be_bytes(bytes) as usize
}

/// Padding is given back, that of streams that are reset too: after very much of it the
/// connection's window is what it was.
///
/// Seen to fail: the accounts are the h2 crate's; version 0.4.13 loses the padding.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B14_a_padding_is_given_back() {
    let house = House::new(Does::Answer);
    let mut client = house.client().await;
    for request in 0..30 {
        client.send(&Frame::head(nth(request), false, &up("POST"))).await;
        for _ in 0..100 {
            client.send(&Frame::padded(nth(request), false, &[b'x'; 100], 255)).await;
        }
        client.send(&Frame::reset(nth(request), code::CANCEL)).await;
        house.settle().await;
    }
    let stream = nth(30);
    client.send(&Frame::head(stream, false, &up("POST"))).await;
    for _ in 0..500 {
        client.send_bytes(&Frame::padded(stream, false, &[b'x'; 10], 255).bytes().repeat(20)).await;
        house.settle().await;
    }
    client.send(&Frame::padded(stream, true, &[b'x'; 10], 255)).await;
    assert_eq!(said(&mut client, stream).await, Said::Status(200));
    let requests = house.origin.requests.borrow();
    let (_, body) = requests.last().and_then(|last| last.split_once("\r\n\r\n")).expect("a body");
    assert_eq!(body.matches('x').count(), 100_010);
}

/// More padding than the frame has room for ends the connection.
///
/// Seen to fail: the check is the h2 crate's.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B14_b_more_padding_than_frame() {
    for payload in [&[255][..], &[4, 0, 0, 0], &[]] {
        let house = House::new(Does::Answer);
        let mut client = house.client().await;
        client.send(&Frame::head(1, false, &up("POST"))).await;
        client.send(&Frame::new(kind::DATA, flag::PADDED, 1, payload)).await;
        assert_eq!(goodbye(&mut client).await, code::PROTOCOL_ERROR, "{payload:?}");
        house.serves_others().await;
    }
}
