//! Documents in, snapshots out.

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
