//! Section H: WebSocket, gRPC, server-sent events, TCP.
