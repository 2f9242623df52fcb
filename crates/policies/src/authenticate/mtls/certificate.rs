//! What a caller's certificate says, that rustls has verified. Knows no HTTP.

use std::net::IpAddr;
use std::time::Duration;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// A name that a certificate is for (RFC 5280 §4.2.1.6), of the kind it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum San {
    Dns(String),
    Email(String),
    Uri(String),
    Ip(IpAddr),
}

/// What is asked of a certificate.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) names: Vec<San>,
    /// Its issuer's name in DER.
    pub(super) issuer: Vec<u8>,
    pub(super) serial: Vec<u8>,
    /// When it ends, since 1970.
    pub(super) ends: Duration,
}

impl San {
    /// The name written as `dns:shop.example`, `email:…`, `uri:…` or `ip:…`.
    pub(super) fn read(written: &str) -> Option<Self> {
        let (kind, text) = written.split_once(':')?;
        if text.is_empty() || !plain(text) || text.contains('*') {
            return None;
        }
        Some(match kind {
            "dns" => Self::Dns(text.to_ascii_lowercase()),
            "email" => Self::Email(text.to_owned()),
            "uri" => Self::Uri(text.to_owned()),
            "ip" => Self::Ip(text.parse().ok()?),
            _ => return None,
        })
    }

    /// The same out of a certificate; none for what could be read as another name, or stands for
    /// many.
    fn of(name: &GeneralName<'_>) -> Option<Self> {
        let plain = |text: &&str| plain(text) && !text.contains('*');
        Some(match name {
            GeneralName::DNSName(text) => {
                Self::Dns(Some(text).filter(|t| plain(t))?.to_ascii_lowercase())
            }
            GeneralName::RFC822Name(text) => {
                Self::Email((*Some(text).filter(|t| plain(t))?).to_owned())
            }
            GeneralName::URI(text) => Self::Uri((*Some(text).filter(|t| plain(t))?).to_owned()),
            GeneralName::IPAddress(bytes) => Self::Ip(match bytes.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?),
                _ => IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
            }),
            _ => return None,
        })
    }
}

/// Visible ASCII: a NUL or a line's end in a name has let one pass for another.
fn plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Facts {
    /// What the certificate `der` says; none where it can't be read.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let names = match parsed.subject_alternative_name() {
            Ok(Some(names)) => names.value.general_names.iter().filter_map(San::of).collect(),
            Ok(None) => Vec::new(),
            Err(_) => return None,
        };
        let ends = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
        Some(Self {
            names,
            issuer: parsed.issuer().as_raw().to_vec(),
            serial: parsed.raw_serial().to_vec(),
            ends: Duration::from_secs(ends),
        })
    }
}
