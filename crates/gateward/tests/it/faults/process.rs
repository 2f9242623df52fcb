//! Section J: reload, upgrade, drain, crash.

mod crash;
mod drain;
mod endure;
mod reload;
mod stuck;
mod systemd;
mod upgrade;

pub use upgrade::upgrade;

use crate::harness::{Gateway, until};

/// A document of one fixed answer.
fn fixed(body: &str) -> String {
    format!("apis: [ {{ name: a, routes: [ {{ respond: {{ body: {body} }} }} ] }} ]\n")
}

/// Waits until another process serves than `before`.
pub fn replaced(gateway: &Gateway, before: u64) -> u64 {
    until("another process serves", || {
        let status = status(gateway);
        status.is_some_and(|status| status["pid"] != before && status["ready"] == true)
    });
    gateway.serving()
}

/// `/status`, where somebody answers.
fn status(gateway: &Gateway) -> Option<serde_json::Value> {
    let mut curl = std::process::Command::new("curl");
    let out =
        curl.args(["-sf", "--max-time", "20", &gateway.admin_url("/status")]).output().unwrap();
    serde_json::from_slice(&out.stdout).ok()
}
