//! Levels come and go where they are said to.

use super::*;

#[test]
fn levels_begin_where_they_are_said_to_and_end_below() {
    let mut level = Level::Calm;
    let mut at = |percent: u64| {
        level = level.next(percent);
        level
    };
    let up = [79, 80, 89, 90, 91, 92, 94, 95, 200].map(&mut at);
    let expected = {
        use Level::{Calm, Full, RefusingLow, RefusingNormal, Saving};
        [Calm, Saving, Saving, RefusingLow, RefusingLow, RefusingNormal, RefusingNormal, Full, Full]
    };
    assert_eq!(up, expected);
    let down = [94, 92, 91, 89, 88, 87, 86, 79, 77, 76].map(at);
    let expected = {
        use Level::{Calm, Full, RefusingLow, RefusingNormal, Saving};
        [
            Full,
            Full,
            RefusingNormal,
            RefusingNormal,
            RefusingLow,
            RefusingLow,
            Saving,
            Saving,
            Saving,
            Calm,
        ]
    };
    assert_eq!(down, expected);
}

#[test]
fn every_level_refuses_what_it_is_said_to() {
    let refused: Vec<String> = (0..=4)
        .map(|number| {
            let level = Level::of(number);
            let of = PRIORITIES.iter().filter(|(priority, _)| level.sheds(*priority));
            let names: Vec<_> = of.map(|(_, name)| *name).collect();
            format!("{}: {}", level.name(), names.join(" "))
        })
        .collect();
    let expected = [
        "calm: ",
        "saving: ",
        "refusing_low: low",
        "refusing_normal: low normal",
        "full: low normal high",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn a_change_is_told_once() {
    let overload = Overload::new(1);
    let limits = InstanceLimits {
        connections: Some(1),
        connections_per_address: 1,
        memory: Some(1000),
        tls_handshakes: 1,
        queue_time: std::time::Duration::from_millis(100),
    };
    overload.follow(&limits);
    assert_eq!(overload.weigh(799), None);
    assert_eq!(overload.weigh(960), Some((Level::Calm, Level::Full)));
    assert_eq!(overload.weigh(970), None);
    assert_eq!(overload.weigh(10), Some((Level::Full, Level::Calm)));
}
