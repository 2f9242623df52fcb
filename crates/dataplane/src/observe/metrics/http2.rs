//! What is counted of HTTP/2 connections of clients: how they ended, and which streams were cut
//! short. Much of that the h2 crate does by itself, and no exchange tells of it.

use super::series::{Count, ListenerSeries};

macro_rules! labels {
    (
        $(#[doc = $doc:literal])+ $type:ident, $all:ident:
        $($(#[doc = $what:literal])+ $one:ident = $name:literal;)*
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $type { $($(#[doc = $what])+ $one),* }

        /// All of them, in their order.
        pub(crate) const $all: [$type; [$($name),*].len()] = [$($type::$one),*];

        impl $type {
            /// Its label.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$one => $name),* }
            }
        }
    };
}

labels! {
    /// Why a stream was cut short.
    Reset, RESETS:
    /// The client took its request back.
    TakenBack = "taken_back";
    /// The rest of the client's body was not wanted.
    Unwanted = "unwanted";
    /// The client broke the protocol.
    ProtocolError = "protocol_error";
    /// The client broke the rules of windows.
    FlowControl = "flow_control_error";
    /// The client sent frames of a stream that had ended.
    StreamClosed = "stream_closed";
    /// The client sent a frame of a wrong size.
    FrameSize = "frame_size_error";
    /// The client asked for more at once than it may.
    Refused = "refused_stream";
    /// The request's head was so large that it was not even read.
    HeadersTooLarge = "headers_too_large";
    /// The client took nothing of its answer for too long, or nobody wanted it any more.
    Cancelled = "cancel";
    /// The answer broke off.
    BrokenOff = "internal_error";
    /// Something else.
    Other = "other";
}

impl Reset {
    /// What an error code says (RFC 9113 §7).
    pub const fn of(code: u32) -> Self {
        match code {
            0 => Self::Unwanted,
            1 => Self::ProtocolError,
            2 => Self::BrokenOff,
            3 => Self::FlowControl,
            5 => Self::StreamClosed,
            6 => Self::FrameSize,
            7 => Self::Refused,
            8 => Self::Cancelled,
            _ => Self::Other,
        }
    }

    /// Whether we reset it because of what the client did.
    pub const fn is_clients_fault(self) -> bool {
        matches!(
            self,
            Self::ProtocolError
                | Self::FlowControl
                | Self::StreamClosed
                | Self::FrameSize
                | Self::HeadersTooLarge
                | Self::Other
        )
    }
}

labels! {
    /// Why a connection ended.
    End, ENDS:
    /// The client closed it, or took its leave.
    Closed = "closed";
    /// Nothing ran on it for too long.
    Idle = "idle";
    /// It had all the requests a connection may have.
    Served = "served_enough";
    /// The listener closes.
    Draining = "draining";
    /// It broke.
    Broken = "broken";
    /// The client did not say what HTTP/2 begins with, or not in time.
    NoPreface = "no_preface";
    /// The client broke the protocol.
    ProtocolError = "protocol_error";
    /// The client broke the rules of windows.
    FlowControl = "flow_control_error";
    /// The client sent a frame of a wrong size.
    FrameSize = "frame_size_error";
    /// The client's header fields could not be decoded.
    Compression = "compression_error";
    /// The client did little but cost.
    Calm = "enhance_your_calm";
    /// Something else.
    Other = "other";
}

impl End {
    /// What the error code of a GOAWAY says that was sent; none if it says nothing.
    pub const fn of(code: u32) -> Option<Self> {
        Some(match code {
            0 => return None,
            1 => Self::ProtocolError,
            3 => Self::FlowControl,
            6 => Self::FrameSize,
            9 => Self::Compression,
            11 => Self::Calm,
            _ => Self::Other,
        })
    }
}

/// What is counted of a listener's HTTP/2 connections.
#[derive(Debug, Default)]
pub(crate) struct Http2Counts {
    ended: [Count; ENDS.len()],
    resets: [Count; RESETS.len()],
}

impl ListenerSeries {
    /// Counts an HTTP/2 connection that has ended.
    pub fn http2_ended(&self, core: usize, end: End) {
        let counts = self.cores.of(core).and_then(|counts| counts.http2.ended.get(end as usize));
        counts.inspect(|count| count.add(1));
    }

    /// Counts streams that were cut short.
    pub fn http2_reset(&self, core: usize, kind: Reset, streams: u32) {
        let counts = self.cores.of(core).and_then(|counts| counts.http2.resets.get(kind as usize));
        counts.inspect(|count| count.add(streams.into()));
    }

    /// Connections by how they ended, those of which there were any.
    pub fn http2_ends(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |end: End| {
            self.cores.sum(|counts| counts.http2.ended.get(end as usize).map_or(0, Count::get))
        };
        ENDS.into_iter().map(move |end| (end.label(), count(end))).filter(|(_, count)| *count > 0)
    }

    /// Streams by why they were cut short, those of which there were any.
    pub fn http2_resets(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |kind: Reset| {
            self.cores.sum(|counts| counts.http2.resets.get(kind as usize).map_or(0, Count::get))
        };
        RESETS
            .into_iter()
            .map(move |kind| (kind.label(), count(kind)))
            .filter(|(_, count)| *count > 0)
    }
}
