//! Documents through the whole first stage: right ones, broken ones, and anything at all.

mod anything;
mod broken;
mod machine;
mod right;
mod shown;
mod vaults;
