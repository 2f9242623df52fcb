//! Documents in, snapshots out.

mod access;
mod allocation;
mod broken;
mod chains;
mod explaining;
mod forwarding;
mod oracle;
mod routing;
mod support;
mod tls;
mod world;
