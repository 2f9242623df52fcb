//! The real engine, running a document, with a clock that is moved by hand.

use std::net::IpAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use config::{Machine, Schema};
use dataplane::{Handle, Options};
use policy::{Carry, LogTarget, Registry};
use snapshot::Inputs;
use tokio::io::AsyncWriteExt;

use crate::case::Written;
use crate::message::{self, Message};
use crate::servers::Servers;

/// When the clock of a case starts: 2026-09-21.
const START: Duration = Duration::from_secs(1_790_000_000);

/// Bytes an in-memory connection holds each way.
const PIPE_BYTES: usize = 64 << 10;

/// The engine, running.
pub(crate) struct Gateway {
    handle: Handle,
    clock: Clock,
    logs: Vec<Arc<LogTarget>>,
}

impl Gateway {
    /// Runs `document`; who it calls beside the requests is `servers`.
    pub(crate) fn start(
        document: &str,
        registry: &Registry,
        servers: &Servers,
    ) -> Result<Self, String> {
        let written = config::read_text("case.yaml", document, &Schema::any_policy(), &Machine)
            .map_err(|report| report.to_string())?;
        let inputs = Inputs {
            registry,
            remotes: servers,
            carry: &Carry::default(),
            around: &Machine,
            authorities: &Vec::new,
            ledger: None,
            wall: START,
            revision: 1,
        };
        let mut snapshot = snapshot::compile(&written, &inputs)
            .map_err(|problems| written.report(&problems).to_string())?;
        // Lines are looked at here; nobody else is to take them.
        let logs = std::mem::take(&mut snapshot.log_targets);
        let clock = Clock::fixed(START);
        let options = Options { workers: 1, clock: clock.clone(), ..Options::default() };
        let handle =
            dataplane::start(Arc::new(snapshot), options).map_err(|error| error.to_string())?;
        Ok(Self { handle, clock, logs })
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Sends a request from `client` on a connection of its own; none where there is no answer. If
    /// it is still under way when the core has done all it could, moves the clock by `meanwhile`.
    pub(crate) async fn call(
        &self,
        request: &Written,
        client: IpAddr,
        meanwhile: Duration,
    ) -> Option<Message> {
        let mut headers = vec![
            ("Host".to_owned(), "case.example".to_owned()),
            ("Connection".to_owned(), "close".to_owned()),
            ("X-Forwarded-For".to_owned(), client.to_string()),
        ];
        headers.extend(request.headers.iter().cloned());
        let start = format!("{} HTTP/1.1", request.start);
        let is_head = request.start.starts_with("HEAD ");
        let bytes = message::write(&start, &headers, &request.body);
        let mut call = pin!(self.send(&bytes, is_head));
        if !meanwhile.is_zero() {
            tokio::select! {
                biased;
                answer = &mut call => return answer,
                // The one core serves this after what came before.
                _ = self.send(b"no request\r\n\r\n", false) => self.advance(meanwhile),
            }
        }
        call.await
    }

    /// The lines written to logs since this was asked last. Where there is one to come, waits for
    /// it: it is written when the answer is gone.
    pub(crate) async fn log(&self, comes: bool) -> String {
        let mut lines = Vec::new();
        loop {
            // The one core serves this after what came before.
            let _ = self.send(b"no request\r\n\r\n", false).await;
            for target in &self.logs {
                target.drain(&mut lines);
            }
            if !comes || !lines.is_empty() {
                return String::from_utf8_lossy(&lines).into_owned();
            }
        }
    }

    async fn send(&self, bytes: &[u8], is_head: bool) -> Option<Message> {
        let mut stream = self.handle.connect("case", PIPE_BYTES);
        // The answer may come, and the connection end, before everything is sent.
        let _ = stream.write_all(bytes).await;
        message::read(&mut stream, &mut Vec::new(), is_head).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.handle.drain(Duration::ZERO);
    }
}

/// The whole document that `piece` is of, with what every case has: a listener that takes the
/// client's address from `X-Forwarded-For`, and a fake upstream.
pub(crate) fn document(piece: &str, folder: &Path) -> String {
    let folder = folder.display();
    let mut document = format!(
        "version: 1\n\
         listeners:\n\
         \x20 - name: case\n\
         \x20   bind: \"unix:{folder}/listener.sock\"\n\
         \x20   client_address: {{ trusted: [0.0.0.0/32] }}\n\
         upstreams:\n\
         \x20 - {{ name: fake, endpoints: [\"unix:{folder}/upstream.sock\"] }}\n"
    );
    let (mut api, mut own) = (String::new(), true);
    let mut target = 0;
    for line in piece.lines() {
        target = match line.split(':').next() {
            Some("policies" | "routes") => 1,
            Some("everywhere") => {
                document.push_str("policies:");
                document.push_str(line.strip_prefix("everywhere:").unwrap_or_default());
                document.push('\n');
                target = 2;
                continue;
            }
            Some(key) if !key.is_empty() && !key.starts_with([' ', '-', '#']) => {
                own &= key != "apis";
                2
            }
            _ => target,
        };
        match target {
            1 => api.push_str(&format!("    {line}\n")),
            _ => document.push_str(&format!("{line}\n")),
        }
    }
    if own {
        document.push_str("apis:\n  - name: test\n    upstream: fake\n");
        document.push_str(&api);
    }
    document
}
