//! One short name for what a document says, whatever it is written in.

use aws_lc_rs::digest::{Context, SHA256};

use crate::tree::{Entry, Kind, Node};

/// The SHA-256 of `root`, in hexadecimal: `${…}` resolved, maps by key whatever their order.
pub(crate) fn of(root: &Node) -> String {
    let mut context = Context::new(&SHA256);
    feed(root, &mut context);
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Kind and length stand before everything, so that different trees give different bytes.
fn feed(node: &Node, context: &mut Context) {
    match &node.kind {
        Kind::Null => put(b'0', b"", context),
        Kind::Bool(value) => put(b'b', &[u8::from(*value)], context),
        Kind::Number(number) => put(b'n', number.to_string().as_bytes(), context),
        Kind::Text(text) => put(b't', text.value.as_bytes(), context),
        Kind::List(items) => {
            put(b'l', &(items.len() as u64).to_le_bytes(), context);
            items.iter().for_each(|item| feed(item, context));
        }
        Kind::Map(entries) => {
            let mut sorted: Vec<&Entry> = entries.iter().collect();
            sorted.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            put(b'm', &(sorted.len() as u64).to_le_bytes(), context);
            for entry in sorted {
                put(b'k', entry.key.as_bytes(), context);
                feed(&entry.value, context);
            }
        }
    }
}

fn put(kind: u8, bytes: &[u8], context: &mut Context) {
    context.update(&[kind]);
    context.update(&(bytes.len() as u64).to_le_bytes());
    context.update(bytes);
}
