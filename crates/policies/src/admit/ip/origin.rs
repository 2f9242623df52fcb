//! Where addresses come from, by a database in MaxMind's format: the country, the autonomous
//! system.

use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use maxminddb::{PathElement, Reader, WithinOptions};
use policy::Carry;

/// Most bytes of a database. The largest that are sold have about 500 MB.
pub(super) const BYTES_MAX: u64 = 1 << 30;

/// Networks that are looked through for one that says what is asked for.
const SAMPLE: usize = 10_000;

/// A database. All who name the same one share it, also from one reload to the next.
pub(super) struct Database {
    reader: Reader<Vec<u8>>,
}

/// What a database is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The country, by its two letters (ISO 3166-1).
    Country,
    /// The number of the autonomous system.
    System,
}

/// A country or an autonomous system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// A country.
    Country([u8; 2]),
    /// An autonomous system.
    System(u32),
}

/// What a database says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// This.
    Known(Origin),
    /// Nothing.
    Nothing,
    /// It is broken there.
    Broken,
}

impl Database {
    /// The database of these bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, String> {
        let reader = Reader::from_source(bytes).map_err(|error| error.to_string())?;
        reader.verify().map_err(|error| error.to_string())?;
        Ok(Self { reader })
    }

    /// The same, kept as long as anyone uses it.
    pub(super) fn kept(bytes: Vec<u8>, carry: &Carry) -> Result<std::sync::Arc<Self>, String> {
        let hash = digest(&SHA256, &bytes);
        let name: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let key = format!("address database {name}");
        if let Some(known) = carry.find(&key) {
            return Ok(known);
        }
        let opened = Self::open(bytes)?;
        Ok(carry.keep(&key, || opened))
    }

    /// What kind it says it is.
    pub(super) fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// Whether it has what `ask` asks for at all: one that has not says nothing of anyone.
    pub(super) fn answers(&self, ask: Ask) -> bool {
        let Ok(networks) = self.reader.networks(WithinOptions::default()) else { return false };
        let known =
            |found: maxminddb::LookupResult<'_, _>| matches!(said(&found, ask), Said::Known(_));
        networks.take(SAMPLE).flatten().any(known)
    }

    /// What it says of `address`.
    pub(super) fn of(&self, address: IpAddr, ask: Ask) -> Said {
        let address = address.to_canonical();
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Said::Nothing;
        }
        match self.reader.lookup(address) {
            Ok(found) => said(&found, ask),
            Err(_) => Said::Broken,
        }
    }
}

fn said<S: AsRef<[u8]>>(found: &maxminddb::LookupResult<'_, S>, ask: Ask) -> Said {
    match ask {
        Ask::Country => {
            let path = [PathElement::Key("country"), PathElement::Key("iso_code")];
            match found.decode_path::<&str>(&path) {
                Ok(Some(code)) => Origin::country(code).map_or(Said::Nothing, Said::Known),
                Ok(None) => Said::Nothing,
                Err(_) => Said::Broken,
            }
        }
        Ask::System => {
            let path = [PathElement::Key("autonomous_system_number")];
            match found.decode_path::<u32>(&path) {
                Ok(Some(number)) => Said::Known(Origin::System(number)),
                Ok(None) => Said::Nothing,
                Err(_) => Said::Broken,
            }
        }
    }
}

impl Origin {
    /// The country of these two letters.
    pub(super) fn country(code: &str) -> Option<Self> {
        let letters: [u8; 2] = code.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self::Country(letters))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(letters) => f.write_str(&String::from_utf8_lossy(letters)),
            Self::System(number) => write!(f, "AS{number}"),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTRIES: &[u8] = include_bytes!("cases/countries.mmdb");
    const SYSTEMS: &[u8] = include_bytes!("cases/systems.mmdb");

    fn database(bytes: &[u8]) -> Database {
        Database::open(bytes.to_vec()).unwrap()
    }

    #[test]
    fn addresses_are_found_in_a_database_that_another_program_wrote() {
        let countries = database(COUNTRIES);
        let systems = database(SYSTEMS);
        let known = |text| Said::Known(Origin::country(text).unwrap());
        for (address, country, system) in [
            ("192.0.2.1", known("DE"), Said::Known(Origin::System(64496))),
            ("192.0.2.200", known("FR"), Said::Known(Origin::System(64496))),
            ("198.51.100.1", known("FR"), Said::Known(Origin::System(4_200_000_000))),
            ("203.0.113.1", Said::Nothing, Said::Nothing),
            ("::ffff:192.0.2.1", known("DE"), Said::Known(Origin::System(64496))),
            ("2001:db8::1", known("DE"), Said::Known(Origin::System(64497))),
            ("2001:db8:1::1", Said::Nothing, Said::Nothing),
            ("10.0.0.1", Said::Nothing, Said::Nothing),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(countries.of(address, Ask::Country), country, "{address}");
            assert_eq!(systems.of(address, Ask::System), system, "{address}");
        }
    }

    #[test]
    fn a_database_that_has_not_what_is_asked_for_is_seen() {
        let (countries, systems) = (database(COUNTRIES), database(SYSTEMS));
        assert!(countries.answers(Ask::Country) && systems.answers(Ask::System));
        assert!(!countries.answers(Ask::System) && !systems.answers(Ask::Country));
    }

    /// Cut anywhere, or with any byte turned, it is refused or answers something, and nothing
    /// panics.
    #[test]
    fn a_broken_database_is_refused_or_harmless() {
        for cut in 0..COUNTRIES.len() {
            assert!(Database::open(COUNTRIES[..cut].to_vec()).is_err(), "cut at {cut}");
        }
        for at in 0..COUNTRIES.len() {
            for turned in [1, 0x80, 0xff] {
                let mut bytes = COUNTRIES.to_vec();
                bytes[at] ^= turned;
                let Ok(database) = Database::open(bytes) else { continue };
                database.answers(Ask::Country);
                for address in ["192.0.2.1", "203.0.113.1", "2001:db8::1", "::"] {
                    database.of(address.parse().unwrap(), Ask::Country);
                    database.of(address.parse().unwrap(), Ask::System);
                }
            }
        }
    }
}
