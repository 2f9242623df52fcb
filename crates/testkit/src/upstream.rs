//! A fake upstream: answers what it is told, and keeps what it was asked.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

use crate::case::Written;
use crate::message::{self, Message};

/// A fake upstream on a Unix socket. Lives on the runtime it was made on.
#[derive(Clone, Default)]
pub(crate) struct Upstream(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answer: Vec<u8>,
    seen: Vec<Message>,
}

impl Upstream {
    /// An upstream that listens at `path`.
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let upstream = Self::default();
        let state = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(state.clone().serve(stream));
            }
        });
        Ok(upstream)
    }

    /// What it answers from now on. Forgets what it was asked.
    pub(crate) fn answer(&self, answer: &Written) {
        let status = if answer.start.is_empty() { "200" } else { &answer.start };
        let start = format!("HTTP/1.1 {status} -");
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.answer = message::write(&start, &answer.headers, &answer.body);
        state.seen.clear();
    }

    /// What it was asked.
    pub(crate) fn seen(&self) -> Vec<Message> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }

    async fn serve(self, mut stream: UnixStream) {
        let mut held = Vec::new();
        while let Some(request) = message::read(&mut stream, &mut held, false).await {
            let answer = {
                let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                state.seen.push(request);
                state.answer.clone()
            };
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}
