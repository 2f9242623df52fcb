//! Heads that cost more than they carry.

use testkit::attack::frames::{Block, Frame, code, flag, kind, setting};

use super::house::{Does, House, Said, ask, goodbye, nth, refusal, said, up};

/// A head that never ends: the connection is over by the eighth frame, be they empty or full.
///
/// Seen to fail: the bound is the h2 crate's; with `max_header_list_size` at 16 MiB it takes 1,280.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B03_a_head_that_never_ends() {
    let full = Block::new().field("x", vec![b'a'; 16_000]);
    for piece in [&b""[..], full.bytes()] {
        let house = House::new(Does::Answer);
        let mut client = house.client().await;
        client.send(&Frame::new(kind::HEADERS, 0, 1, up("GET").bytes())).await;
        let mut frames = 1;
        while frames < 10_000 {
            if !client.send(&Frame::continuation(1, false, piece)).await {
                break;
            }
            house.settle().await;
            frames += 1;
        }
        let reason = goodbye(&mut client).await;
        let told = [code::ENHANCE_YOUR_CALM, code::COMPRESSION_ERROR];
        assert!(told.contains(&reason), "{reason}");
        assert!(frames <= 8, "{frames}");
        house.origin_saw_nothing();
        house.serves_others().await;
    }
}

/// A large field said once and then named by a byte each: 40 KiB of it are refused with 431, much
/// more ends the connection.
///
/// Seen to fail: the bound is the h2 crate's; with `max_header_list_size` at 16 MiB both are read,
/// and the first is refused for the bytes it has.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B04_a_large_field_named_again_and_again() {
    let house = House::new(Does::Answer);
    let bomb = |times| up("GET").remembered("a", [b'x'; 4000]).repeated(62, times);
    assert_eq!(ask(&house, &bomb(9)).await, Said::Status(431));
    assert_eq!(ask(&house, &bomb(4_000)).await, Said::GoAway(code::ENHANCE_YOUR_CALM));
    house.origin_saw_nothing();
    assert!(house.counted(
        "gateward_http2_streams_reset_total{listener=\"web\",reason=\"headers_too_large\"} 1"
    ));
}

/// Very many small fields at a byte each, on a hundred streams whose answers nobody takes: each is
/// refused, and none reaches the origin.
///
/// Seen to fail: without the check of their number in `check_fields`, those of 900 fields pass.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B05_a_a_hundred_heads_of_many_fields() {
    for fields in [200, 900, 2_000] {
        let house = House::new(Does::Answer);
        let mut client = house.client_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]).await;
        client.send(&Frame::head(1, true, &up("GET").remembered("a", "").repeated(62, 200))).await;
        let (one, _) = (said(&mut client, 1).await, ());
        assert_eq!(one, Said::Status(431));
        for request in 1..30 {
            let head = Frame::head(nth(request), true, &up("GET").repeated(62, fields));
            client.send(&head).await;
        }
        for request in 1..30 {
            assert_eq!(said(&mut client, nth(request)).await, Said::Status(431), "{fields}");
        }
        house.origin_saw_nothing();
    }
}

/// Ten thousand such fields end the connection.
///
/// Seen to fail: the bound is the h2 crate's, four times the size of heads that it is given.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B05_b_ten_thousand_fields_of_a_byte() {
    let house = House::new(Does::Answer);
    let bomb = up("GET").remembered("a", "").repeated(62, 10_000);
    assert_eq!(ask(&house, &bomb).await, Said::GoAway(code::ENHANCE_YOUR_CALM));
    house.origin_saw_nothing();
    house.serves_others().await;
}

/// Fields are counted as they came: crumbs of a cookie, repeated hosts and fields that are not
/// passed on count like any other. As many as may be are served.
///
/// Seen to fail: without the check of their number in `check_fields`.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B06_fields_count_before_they_are_merged_or_dropped() {
    let house = House::new(Does::Answer);
    let with = |name: &str, value: &str, times| {
        (0..times).fold(up("GET"), |block, _| block.field(name, value))
    };
    for (name, value) in [("cookie", "a=b"), ("accept", "*/*"), ("forwarded", "for=1.1.1.1")] {
        assert_eq!(ask(&house, &with(name, value, 100)).await, Said::Status(200), "{name}");
        assert_eq!(ask(&house, &with(name, value, 101)).await, Said::Status(431), "{name}");
        assert!(matches!(ask(&house, &with(name, value, 10_000)).await, Said::GoAway(_)), "{name}");
    }
    let served = house.origin.requests.borrow().len();
    assert_eq!(served, 3);
    assert_eq!(ask(&house, &with("host", "a.test", 101)).await, Said::Status(431));
    assert_eq!(house.origin.requests.borrow().len(), served);
    let mut client = house.client().await;
    client.send(&Frame::head(1, true, &with("cookie", "a=b", 101))).await;
    assert_eq!(refusal(&mut client, 1).await, (431, "headers_too_large".to_owned()));
}

/// Heads as large as they may be on all streams at once: what runs is held to half a mebibyte of
/// heads, the rest is told to come again.
///
/// Seen to fail: without the bytes in `Place::take` all hundred run.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_B05_c_a_hundred_heads_as_large_as_they_may_be() {
    let house = House::new(Does::Hold);
    let mut client = house.client().await;
    let large = up("GET").field("x", vec![b'a'; 30 << 10]);
    for request in 0..100 {
        let block = large.bytes();
        let (first, rest) = block.split_at(16 << 10);
        client.send(&Frame::new(kind::HEADERS, flag::END_STREAM, nth(request), first)).await;
        client.send(&Frame::continuation(nth(request), true, rest)).await;
    }
    house.settle().await;
    assert_eq!(house.origin.running.get(), 17);
    let mut refused = 0;
    while refused < 83 {
        let frame = client.next_of(&[kind::RST_STREAM, kind::GOAWAY]).await.expect("refusals");
        assert_eq!((frame.kind, frame.error()), (kind::RST_STREAM, code::REFUSED_STREAM));
        refused += 1;
    }
}
