//! The signature that a request shows: which of them counts, and what it says of itself
//! (RFC 9421 §4).

use policy::message::{Headers, Name};

use crate::structured::parse;
use crate::structured::value::{Bare, Item, Member, Params, param, write_dictionary, write_inner};

/// Signatures looked at in one request.
const SIGNATURES: usize = 16;

/// Most bytes of a nonce.
const NONCE_BYTES: usize = 256;

/// A signature.
#[derive(Debug)]
pub(super) struct Shown {
    /// The label it stands under.
    label: String,
    /// The signature itself.
    pub signature: Vec<u8>,
    /// What it covers.
    pub covered: Vec<Item>,
    /// All it says of itself, as it goes into what is signed.
    pub parameters: String,
    /// The key's id.
    pub key: String,
    /// The algorithm, where it names one.
    pub algorithm: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created: Option<u64>,
    /// When it ends.
    pub expires: Option<u64>,
    /// What is used once.
    pub nonce: Option<String>,
}

/// Why there is none that could be judged.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// Nothing is signed.
    None,
    /// More than one could count.
    Several,
    /// It can't be read, or says nothing that can be judged.
    Malformed(&'static str),
}

/// Finds the signature that counts: the one with `tag`, if there is to be one, and by a key that is
/// `known`.
pub(super) fn find(
    headers: &Headers,
    tag: Option<&str>,
    known: impl Fn(&str) -> bool,
) -> Result<Shown, Bad> {
    let (inputs, signatures) = (read(headers, "signature-input")?, read(headers, "signature")?);
    if inputs.is_empty() && signatures.is_empty() {
        return Err(Bad::None);
    }
    if inputs.len() > SIGNATURES {
        return Err(Bad::Malformed("there are too many signatures"));
    }
    let text =
        |params: &Params, name: &str| param(params, name).and_then(Bare::as_str).map(str::to_owned);
    let mut candidates = inputs.into_iter().filter_map(|(label, member)| match member {
        Member::Inner(covered, params) => {
            let tagged = tag.is_none_or(|tag| text(&params, "tag").as_deref() == Some(tag));
            tagged.then_some((label, covered, params))
        }
        Member::Item(_) => None,
    });
    let Some(first) = candidates.next() else {
        return Err(Bad::Malformed("no signature is one that could count here"));
    };
    let mut all = vec![first];
    all.extend(candidates);
    if all.len() > 1 {
        // Others may sign for others.
        all.retain(|(_, _, params)| text(params, "keyid").is_some_and(|key| known(&key)));
    }
    let mut all = all.into_iter();
    let (label, covered, params) =
        all.next().ok_or(Bad::Malformed("nobody here has the keys they name"))?;
    if all.next().is_some() {
        return Err(Bad::Several);
    }
    let signature = signatures.into_iter().find_map(|(name, member)| match member {
        Member::Item(Item { value: Bare::Bytes(bytes), .. }) if name == label => Some(bytes),
        _ => None,
    });
    let signature = signature.ok_or(Bad::Malformed("Signature has no such label"))?;
    shown(label, covered, &params, signature)
}

/// The dictionary in the field `name`; empty where there is none.
fn read(headers: &Headers, name: &str) -> Result<Vec<(String, Member)>, Bad> {
    let Some(name) = Name::new(name) else { return Ok(Vec::new()) };
    let field: Vec<_> = headers.all(&name).collect();
    let malformed = Bad::Malformed("Signature-Input and Signature can't be read");
    parse::dictionary(&field.join(&b", "[..])).ok_or(malformed)
}

fn shown(
    label: String,
    covered: Vec<Item>,
    params: &Params,
    signature: Vec<u8>,
) -> Result<Shown, Bad> {
    let malformed = || Bad::Malformed("a parameter of it is not of the type it must be");
    let text = |name| match param(params, name) {
        Some(Bare::String(text)) => Ok(Some(text.clone())),
        None => Ok(None),
        Some(_) => Err(malformed()),
    };
    let seconds = |name| match param(params, name) {
        Some(Bare::Integer(seconds)) => u64::try_from(*seconds).map(Some).map_err(|_| malformed()),
        None => Ok(None),
        Some(_) => Err(malformed()),
    };
    let nonce = text("nonce")?;
    if nonce.as_ref().is_some_and(|nonce| nonce.is_empty() || nonce.len() > NONCE_BYTES) {
        return Err(Bad::Malformed("its nonce is empty or too long"));
    }
    let mut parameters = String::new();
    write_inner(&covered, params, &mut parameters);
    Ok(Shown {
        label,
        signature,
        key: text("keyid")?.ok_or(Bad::Malformed("it names no key"))?,
        algorithm: text("alg")?,
        created: seconds("created")?,
        expires: seconds("expires")?,
        nonce,
        covered,
        parameters,
    })
}

impl Shown {
    /// Takes it out; what others signed stays.
    pub fn remove(&self, headers: &mut Headers) {
        for (field, written) in [("signature-input", "Signature-Input"), ("signature", "Signature")]
        {
            let (Ok(mut members), Some(name)) = (read(headers, field), Name::new(field)) else {
                continue;
            };
            headers.remove(&name);
            members.retain(|(label, _)| *label != self.label);
            if !members.is_empty() {
                let mut text = String::new();
                write_dictionary(&members, &mut text);
                headers.append(written, text);
            }
        }
    }
}
