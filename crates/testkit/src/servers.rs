//! Servers beside the request's way: all of them one, that answers what it is told and keeps what
//! it was asked.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use policy::{Answer, Call, Remote, Unanswered};
use snapshot::{Remotes, UpstreamTls};

use crate::case::Written;

/// Servers, whatever their URLs. As long as nothing was told, none can be reached.
#[derive(Clone, Debug, Default)]
pub struct Servers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    answer: Option<Answer>,
    asked: Vec<Call>,
}

impl Servers {
    /// What they answer from now on; none where they can't be reached. Forgets what they were
    /// asked.
    pub fn answer(&self, answer: Option<Answer>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.answer = answer;
        state.asked.clear();
    }

    /// What they were asked.
    pub fn asked(&self) -> Vec<Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }
}

/// The answer that a case writes.
pub(crate) fn written(answer: &Written) -> Option<Answer> {
    let status = answer.start.parse().ok()?;
    let fields = answer.headers.iter();
    let fields =
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value.clone().into_bytes()));
    Some(Answer { status, headers: fields.collect(), body: answer.body.clone().into() })
}

/// A question as text: its line, its fields, its body.
pub(crate) fn text(call: &Call) -> String {
    let mut text = format!("{} {}\n", call.method, call.url);
    for (name, value) in &call.headers {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value)));
    }
    text.push('\n');
    text.push_str(&String::from_utf8_lossy(&call.body));
    text
}

impl Remotes for Servers {
    fn to(&self, _: UpstreamTls) -> Arc<dyn Remote> {
        Arc::new(self.clone())
    }
}

impl Remote for Servers {
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<Answer, Unanswered>> + Send>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = call.most;
        state.asked.push(call);
        let answer = match state.answer.clone() {
            Some(answer) if answer.body.len() > most => Err(Unanswered::TooLong),
            Some(answer) => Ok(answer),
            None => Err(Unanswered::Unreachable("nobody is there".into())),
        };
        Box::pin(std::future::ready(answer))
    }
}
