//! Answers given without an upstream: redirects and fixed ones.

use policy::message::{Body, Known};
use policy::{Exchange, Refusal, codes};
use snapshot::{FixedAnswer, Redirect};

/// Answers with a fixed response.
pub(crate) fn respond(x: &mut Exchange, answer: &FixedAnswer) {
    x.response.clear();
    x.response.status = answer.status;
    for (name, value) in &answer.headers {
        x.response.headers.append(name.as_str(), value.as_bytes());
    }
    if !answer.body.is_empty() {
        x.response.body = Body::Full(answer.body.clone());
    }
}

/// Sends the caller elsewhere.
pub(crate) fn redirect(x: &mut Exchange, redirect: &Redirect) -> Result<(), Refusal> {
    let mut location = String::new();
    let values = x.route.as_ref().map(|route| &route.values);
    let made =
        values.is_some_and(|values| redirect.location(&x.request, values, &mut location).is_ok());
    if !made {
        return Err(Refusal::new(&codes::PATH_AMBIGUOUS)
            .detail("the redirect would lead out of where it is to lead"));
    }
    x.response.clear();
    x.response.status = redirect.status;
    x.response.headers.set_known(Known::Location, location);
    Ok(())
}
