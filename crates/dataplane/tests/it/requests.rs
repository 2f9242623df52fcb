//! Requests as bytes, and what is answered: the tables in `tests/h1`.

use crate::case;
use crate::support::Gateway;
use crate::upstream;

/// A gateway before an upstream that says what it saw.
async fn before_echo() -> Gateway {
    let upstream = upstream::echo().await;
    Gateway::new(&format!(
        "
version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
apis: [ {{ name: echo, hosts: [ a.test ], upstream: 'http://{upstream}' }} ]
"
    ))
}

/// Plays every case of a table; first in one piece, then with every byte a piece of its own, then
/// cut at every place.
async fn play(table: &str) {
    let gateway = before_echo().await;
    let mut wrong = Vec::new();
    for case in case::read(table) {
        let length = case.request.len();
        for capacity in (1..length.min(300)).chain([64 << 10]) {
            let told = gateway.tell(&case.request, case.responses(), capacity).await;
            if told != case.expected {
                wrong.push(format!(
                    "{} in pieces of {capacity}:\n{told}not\n{}",
                    case.name, case.expected
                ));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn framing() {
    play(include_str!("../h1/framing.case")).await;
}
