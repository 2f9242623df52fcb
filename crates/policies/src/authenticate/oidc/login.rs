//! Logins: begun, come back from, and ended.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::{constant_time, rand};
use policy::message::{Headers, Method};
use policy::{Code, Exchange, Flow, Refusal};
use serde_json::{Map, Value};

use super::cookies::{One, one};
use super::id_token::{self, Asked};
use super::provider::{Endpoints, NoTokens, Tokens, query};
use super::session::{LOGIN, Login, Session};
use super::{Oidc, codes, refuse, send_to, set, sha256};
use crate::jose::{Bad, Token, encode};

/// What its seals are for.
const SEALED: &str = "login";

/// Logins under way in one browser: with more, the oldest end.
const AT_ONCE: usize = 8;

/// Most bytes of the page that is come back to; with more it is `after_logout`.
const TARGET: usize = 1_024;

/// Parameters of a URL that is come back to at most, and bytes of one.
const PARAMETERS: usize = 16;
const PARAMETER: usize = 4_096;

impl Oidc {
    /// Sends a browser to the provider.
    pub(super) async fn begin(&self, code: &'static Code, exchange: &mut Exchange) -> Flow {
        let now = exchange.wall;
        let endpoints = match self.provider.endpoints(now).await {
            Ok(endpoints) => endpoints,
            Err(why) => return refuse(unavailable(&why)),
        };
        let random = (random(), random(), random());
        let (Some(state), Some(nonce), Some(verifier)) = random else {
            return refuse(unavailable("the system gives no random numbers"));
        };
        let target = &exchange.request.target;
        let target = match &target.query {
            Some(query) => format!("{}?{query}", target.path),
            None => target.path.clone(),
        };
        let target = if target.len() <= TARGET { target } else { self.after_logout.clone() };
        let login = Login { state, nonce, verifier, target, began: now.as_secs() };
        let text = serde_json::to_vec(&login).unwrap_or_default();
        let Some(sealed) = self.seal.seal(SEALED, &text) else {
            return refuse(unavailable("the system gives no random numbers"));
        };
        let headers = &exchange.request.headers;
        let mut cookies = self.too_many(headers, now);
        if std::ptr::eq(code, &codes::SESSION) {
            cookies.extend(self.cookies.end_session(headers));
        }
        cookies.push(self.cookies.set(
            &self.cookies.login_name(&login.state),
            &sealed,
            Some(LOGIN),
        ));
        set(exchange, cookies);
        send_to(&self.authorize_url(&endpoints, &login))
    }

    fn authorize_url(&self, endpoints: &Endpoints, login: &Login) -> String {
        let challenge = encode(sha256(login.verifier.as_bytes()));
        let own = [
            ("state", login.state.as_str()),
            ("nonce", &login.nonce),
            ("code_challenge", &challenge),
        ];
        let same = self.authorize.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        with_query(&endpoints.authorize, &same.chain(own).collect::<Vec<_>>())
    }

    /// Ends logins of this browser so that there is room for one more.
    fn too_many(&self, headers: &Headers, now: Duration) -> Vec<Box<str>> {
        let (mut under_way, mut ended) = (Vec::new(), Vec::new());
        for (name, value) in self.cookies.logins(headers) {
            match self.login(value).filter(|login| login.lasts(now)) {
                Some(login) => under_way.push((login.began, name)),
                None => ended.push(self.cookies.end(name)),
            }
        }
        under_way.sort_unstable();
        let surplus = (under_way.len() + 1).saturating_sub(AT_ONCE);
        ended.extend(under_way.iter().take(surplus).map(|(_, name)| self.cookies.end(name)));
        ended
    }

    fn login(&self, sealed: &str) -> Option<Login> {
        serde_json::from_slice(&self.seal.open(SEALED, sealed)?).ok()
    }

    /// A browser comes back from the provider.
    pub(super) async fn come_back(&self, exchange: &mut Exchange) -> Flow {
        match self.came_back(exchange).await {
            Ok(to) => send_to(&format!("{}{to}", self.origin)),
            Err(refusal) => refuse(refusal),
        }
    }

    /// The page to go on with.
    async fn came_back(&self, exchange: &mut Exchange) -> Result<String, Refusal> {
        let now = exchange.wall;
        let wrong = |what: &str| Refusal::new(&codes::STATE).detail(what);
        if exchange.request.method != Method::Get {
            return Err(wrong("browsers come back by GET"));
        }
        let said = parameters(exchange.request.target.query.as_deref().unwrap_or_default());
        let said = said.ok_or_else(|| wrong("its parameters can't be read"))?;
        let login = self.begun(&said, &exchange.request.headers, now).map_err(wrong)?;
        let over = self.cookies.end(&self.cookies.login_name(&login.state));
        set(exchange, vec![over]);
        if !self.provider.is_first(&login.state, now, Duration::from_secs(LOGIN)) {
            return Err(wrong("this login came back before"));
        }
        let endpoints = self.provider.endpoints(now).await.map_err(|why| unavailable(&why))?;
        match said.get("iss") {
            Some(issuer) if *issuer != self.provider.issuer => {
                return Err(wrong("another provider answers"));
            }
            None if endpoints.names_itself => return Err(wrong("no provider is named")),
            _ => {}
        }
        if let Some(error) = said.get("error") {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            let known = error.len() <= 40 && error.bytes().all(plain);
            let what = if known { error } else { "an error" };
            return Err(Refusal::new(&codes::DENIED).detail(format!("the provider says {what}")));
        }
        let code = said.get("code").filter(|code| !code.is_empty());
        let code = code.ok_or_else(|| wrong("no code is there"))?;
        let tokens = self.provider.exchange(&endpoints, code, &login.verifier).await;
        let tokens = tokens.map_err(|no| match no {
            NoTokens::Refused(why) => Refusal::new(&codes::CODE).note(why),
            NoTokens::Unavailable(why) => unavailable(&why),
        })?;
        let session = self.begun_session(tokens, &login, now).await?;
        let cookies = self.keep(&session, &exchange.request)?;
        set(exchange, cookies);
        Ok(login.target)
    }

    /// The login that a browser comes back from: one that it began itself.
    fn begun(
        &self,
        said: &BTreeMap<String, String>,
        headers: &Headers,
        now: Duration,
    ) -> Result<Login, &'static str> {
        let state = said.get("state").ok_or("no state is there")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if state.len() < 32 || !state.bytes().all(plain) {
            return Err("this state is none of ours");
        }
        let name = self.cookies.login_name(state);
        let One::Is(sealed) = one(headers, &name) else {
            return Err("this browser began no such login, or ended it already");
        };
        let login = self.login(sealed).ok_or("the login's cookie was changed")?;
        constant_time::verify_slices_are_equal(login.state.as_bytes(), state.as_bytes())
            .map_err(|_| "this state is that of another login")?;
        login.lasts(now).then_some(login).ok_or("the login took too long")
    }

    async fn begun_session(
        &self,
        tokens: Tokens,
        login: &Login,
        now: Duration,
    ) -> Result<Session, Refusal> {
        let id = tokens.id.as_deref();
        let id = id.ok_or_else(|| Refusal::new(&codes::ID_TOKEN).note("there is none"))?;
        self.verify(id, Some(&login.nonce), &tokens.access, now).await?;
        let mut session = Session::new(now.as_secs());
        session.take(tokens, self.forward, now);
        Ok(session)
    }

    /// What an ID token says, if it is the provider's, for this client and this login.
    pub(super) async fn verify(
        &self,
        id: &str,
        nonce: Option<&str>,
        access_token: &str,
        now: Duration,
    ) -> Result<Map<String, Value>, Refusal> {
        let bad = |what: &str| Refusal::new(&codes::ID_TOKEN).note(what);
        let token = Token::read(id).map_err(|wrong| bad(wrong.what()))?;
        let keys = &self.provider.keys;
        if keys.held(now).is_none() {
            let asked = keys.ask_for_any(now).map_err(|why| unavailable(&why))?;
            asked.await.map_err(|why| unavailable(&why))?;
        }
        let verify = || match keys.held(now) {
            Some(held) => token.verify(&held.keys),
            None => Err(Bad::UnknownKey),
        };
        let mut verified = verify();
        if verified == Err(Bad::UnknownKey)
            && let Some(asked) = keys.ask_for_unknown(now)
        {
            // What was known before is still there if this fails.
            let _ = asked.await;
            verified = verify();
        }
        verified.map_err(|wrong| bad(wrong.what()))?;
        let claims = token.unverified().map_err(|wrong| bad(wrong.what()))?;
        let asked = Asked {
            issuer: &self.provider.issuer,
            client_id: &self.provider.client_id,
            nonce,
            access_token,
            leeway: self.leeway,
        };
        id_token::check(&token, &claims, &asked, now).map_err(bad)?;
        Ok(claims)
    }

    /// Ends the session, here and at the provider.
    pub(super) async fn log_out(&self, exchange: &mut Exchange) -> Flow {
        let session = self.sealed(exchange).flatten();
        let ended = self.cookies.end_session(&exchange.request.headers);
        set(exchange, ended);
        let after = format!("{}{}", self.origin, self.after_logout);
        let endpoints = self.provider.endpoints(exchange.wall).await.ok();
        let Some(url) = endpoints.and_then(|endpoints| endpoints.end_session.clone()) else {
            return send_to(&after);
        };
        let mut said = vec![
            ("client_id", self.provider.client_id.as_str()),
            ("post_logout_redirect_uri", &after),
        ];
        if let Some(session) = &session {
            said.push(("id_token_hint", &session.id_token));
        }
        send_to(&with_query(&url, &said))
    }
}

fn unavailable(why: &str) -> Refusal {
    Refusal::new(&codes::UNAVAILABLE).note(why).header("Retry-After", "5")
}

/// 256 bits that nobody can guess, as text.
fn random() -> Option<String> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).ok()?;
    Some(encode(bytes))
}

fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{}", query(pairs))
}

/// The parameters of a query; none where one stands twice, is too long, or can't be read.
pub(super) fn parameters(text: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if found.len() >= PARAMETERS || value.len() > PARAMETER {
            return None;
        }
        if found.insert(decoded(name)?, decoded(value)?).is_some() {
            return None;
        }
    }
    Some(found)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_once_and_can_be_read() {
        let found = parameters("a=b%20c+d&e=&f").unwrap();
        assert_eq!(found["a"], "b c d");
        assert_eq!((&*found["e"], &*found["f"]), ("", ""));
        for bad in ["a=1&a=2", "a=%", "a=%zz", "a=%ff", "a=1&%61=2", &"a=1&b=".repeat(20)] {
            assert_eq!(parameters(bad), None, "{bad}");
        }
    }
}
