//! Session tickets: what lets a caller come back without a full handshake.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;

/// Keys for tickets, kept over reloads. They are renewed every six hours and forgotten after
/// twelve.
///
/// A resumed session is not verified again: keys belong to one listener and one way of verifying
/// its callers, and a listener that verifies otherwise has others.
pub(super) struct Tickets(Option<Arc<dyn ProducesTickets>>);

impl Tickets {
    /// New keys. Without randomness there are none, and no tickets.
    pub fn new() -> Self {
        Self(Ticketer::new().ok())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.0.is_some()
    }

    fn lifetime(&self) -> u32 {
        self.0.as_ref().map_or(0, |keys| keys.lifetime())
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.as_ref()?.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.as_ref()?.decrypt(cipher)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}
