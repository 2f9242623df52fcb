//! Why a browser does not get in.

use policy::{Code, Fault};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $konst:ident = $name:literal, $status:literal, grpc $grpc:literal,
        $fault:ident, $title:literal, $cure:literal;)*
    ) => {
        $($(#[doc = $doc])+ pub(super) static $konst: Code = Code {
            name: $name, status: $status, grpc: $grpc, title: $title,
            proxy_error: "http_request_denied", fault: Fault::$fault, cure: $cure,
        };)*
    };
}

codes! {
    /// There is no session, and this is no request that could be sent to the provider.
    LOGIN = "oidc_login_needed", 401, grpc 16, Caller, "A login is needed",
        "Open a page of this API in the browser and log in there; scripts do so when they get this \
         answer. Programs without a browser need another way to authenticate.";
    /// There is a session that is over, or no session of ours.
    SESSION = "oidc_session_over", 401, grpc 16, Caller, "The session is over",
        "Open a page of this API in the browser and log in again.";
    /// The browser came back from a login that it did not begin here.
    STATE = "oidc_state", 400, grpc 3, Caller, "This login was not begun here",
        "Open the page again and log in within ten minutes, with cookies allowed. Operators check \
         that `redirect_uri` has the host that browsers use.";
    /// The provider did not let the user in.
    DENIED = "oidc_denied", 403, grpc 7, Caller, "The provider refused the login",
        "Log in with an account that may use this API; operators see in the detail what the \
         provider said.";
    /// The provider does not know the code.
    CODE = "oidc_code", 400, grpc 3, Caller, "The provider does not take the code of this login",
        "Open the page again and log in; a code counts once and for a short time.";
    /// The ID token is not what it must be.
    ID_TOKEN = "oidc_id_token", 502, grpc 13, Gateway, "The provider's ID token is not right",
        "Operators see in the log what is wrong with it, and check `issuer`, `client_id` and the \
         clocks.";
    /// A session that is longer than cookies can hold.
    TOO_LARGE = "oidc_session_too_large", 502, grpc 8, Gateway, "The session is too large",
        "Operators have the provider put fewer claims into its tokens, or leave \
         `forward_access_token` out.";
    /// Nobody can log in.
    UNAVAILABLE = "oidc_provider_unavailable", 503, grpc 14, Gateway,
        "The provider is not available",
        "Try again later; operators see in the log what the provider answered. Sessions go on.";
}
