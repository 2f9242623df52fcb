//! Lists of revoked certificates (RFC 5280 §5). Knows no HTTP.

use std::time::Duration;

use rustls_pki_types::pem::{SectionKind, SliceIter};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// Most bytes of a file of lists.
pub(super) const BYTES: u64 = 4 << 20;

/// What lists say of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is not revoked, which holds until then.
    Good(Duration),
    Revoked,
    /// No list of its issuer is there, or the one that is has not been renewed.
    Unknown,
}

/// Lists, by issuer.
#[derive(Debug, Default)]
pub(super) struct Lists(Vec<List>);

struct List {
    /// The issuer's name in DER.
    issuer: Box<[u8]>,
    /// When it will have been replaced.
    next: Duration,
    /// The serial numbers of revoked certificates, sorted.
    serials: Vec<Box<[u8]>>,
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "List({} revoked)", self.serials.len())
    }
}

impl Lists {
    /// Adds the lists in `file`: PEM, or one in DER.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(super) fn add(&mut self, file: &[u8]) -> Result<(), &'static str> {
        if !file.starts_with(b"-----") && !file.trim_ascii_start().starts_with(b"-----") {
            self.0.push(List::read(file)?);
            return Ok(());
        }
        let before = self.0.len();
        for section in SliceIter::<(SectionKind, Vec<u8>)>::new(file) {
            match section {
                Ok((SectionKind::Crl, der)) => self.0.push(List::read(&der)?),
                _ => return Err("it has something in it that is no X509 CRL in PEM"),
            }
        }
        if self.0.len() == before { Err("it has no list in it") } else { Ok(()) }
    }

    /// What they say at `now` of the certificate with this serial number of this issuer.
    pub(super) fn standing(&self, issuer: &[u8], serial: &[u8], now: Duration) -> Standing {
        let serial = significant(serial);
        let mut until = None;
        for list in self.0.iter().filter(|list| *list.issuer == *issuer) {
            if list.serials.binary_search_by(|known| (**known).cmp(serial)).is_ok() {
                return Standing::Revoked;
            }
            until = until.max(Some(list.next));
        }
        match until {
            Some(until) if now < until => Standing::Good(until),
            _ => Standing::Unknown,
        }
    }
}

impl List {
    fn read(der: &[u8]) -> Result<Self, &'static str> {
        let (rest, list) = CertificateRevocationList::from_der(der)
            .map_err(|_| "it is no list of revoked certificates (RFC 5280 §5)")?;
        if !rest.is_empty() {
            return Err("something stands behind the list");
        }
        let revoked = || list.iter_revoked_certificates();
        // A list of a part of the certificates, or of several issuers, would be read wrongly.
        let critical = list.extensions().iter().any(|extension| extension.critical)
            || revoked().any(|one| one.extensions().iter().any(|extension| extension.critical));
        if critical {
            return Err("it is partial, indirect or otherwise more than a plain list");
        }
        let next = list.next_update().ok_or("it does not say when it will be replaced")?;
        let next = u64::try_from(next.timestamp()).unwrap_or_default();
        let mut serials: Vec<Box<[u8]>> =
            revoked().map(|one| significant(one.raw_serial()).into()).collect();
        serials.sort_unstable();
        let issuer = list.issuer().as_raw().into();
        Ok(Self { issuer, next: Duration::from_secs(next), serials })
    }
}

/// A number without the zeros before it.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
