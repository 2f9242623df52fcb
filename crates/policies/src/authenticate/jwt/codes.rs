//! Why a token does not let its bearer in.

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
    /// There is no token.
    MISSING = "jwt_missing", 401, grpc 16, Caller, "A token is needed",
        "Get a token from the issuer and send it where WWW-Authenticate says.";
    /// It can't be read, or could be read in two ways.
    MALFORMED = "jwt_malformed", 401, grpc 16, Caller, "The token can't be read",
        "Send the token as the issuer gave it: three parts in base64url, at most 16 KiB.";
    /// Its algorithm is not its key's.
    ALGORITHM = "jwt_alg", 401, grpc 16, Caller, "The token's algorithm is not allowed",
        "Get a token from the issuer; operators see in the policy's `algorithms` which are taken, \
         and that a key without `alg` has the first of them that fits.";
    /// Nobody here knows its key.
    UNKNOWN_KEY = "jwt_key_unknown", 401, grpc 16, Caller, "The token's key is not known",
        "Get a new token: the issuer may have replaced its keys. Operators check that the issuer \
         publishes the key; it is asked at most every 30 s.";
    /// The signature is wrong.
    SIGNATURE = "jwt_signature", 401, grpc 16, Caller, "The token's signature is not right",
        "Get a new token from the issuer and send it unchanged.";
    /// It says something of another type than it should.
    CLAIM_TYPE = "jwt_claim_type", 401, grpc 16, Caller, "A claim of the token has a wrong type",
        "Whoever runs the issuer mends its tokens: times are whole numbers, names are strings.";
    /// It lacks a claim, or has it with another value.
    CLAIM = "jwt_claim", 401, grpc 16, Caller, "The token does not say what it must",
        "Get a token with the claim that the detail names; operators see in the policy's `claims`, \
         `require_expiry` and `type` what is asked for.";
    /// It is of another kind.
    TYPE = "jwt_type", 401, grpc 16, Caller, "The token is of another kind",
        "Send an access token, not another kind that the same issuer signs.";
    /// It is somebody else's.
    ISSUER = "jwt_issuer", 401, grpc 16, Caller, "The token's issuer is not trusted here",
        "Get a token from an issuer that this API trusts; operators list it in `issuers`.";
    /// It is for somebody else.
    AUDIENCE = "jwt_audience", 401, grpc 16, Caller, "The token is for another audience",
        "Ask the issuer for a token for this API; operators list what it says in `audiences`.";
    /// It is over.
    EXPIRED = "jwt_expired", 401, grpc 16, Caller, "The token has expired",
        "Get a new token.";
    /// It is not valid yet.
    EARLY = "jwt_not_yet_valid", 401, grpc 16, Caller, "The token is not valid yet",
        "Wait, or set the clocks of the issuer and the gateway; operators may raise `leeway`.";
    /// It belongs to a certificate or a key that was not shown.
    BINDING = "jwt_binding", 401, grpc 16, Caller, "The token is bound to what was not shown",
        "Call with the client certificate, or the DPoP key, that the token was issued to.";
    /// The proof of possession is wrong.
    PROOF = "dpop_proof_invalid", 401, grpc 16, Caller, "The DPoP proof is not right",
        "Make a new proof for each request, with its method, URL and token (RFC 9449 §4).";
    /// The proof has to have a nonce.
    NONCE = "dpop_nonce_needed", 401, grpc 16, Caller, "The DPoP proof needs a nonce",
        "Put the answer's DPoP-Nonce into a new proof and send the request again.";
    /// Replays can't be told any more.
    BUSY = "dpop_busy", 503, grpc 14, Gateway, "Too many DPoP proofs at once",
        "Try again later; operators shorten `dpop.age`, or add instances.";
    /// Who it names is no application here.
    STRANGER = "jwt_application_unknown", 403, grpc 7, Caller,
        "The token names no application that is known here",
        "Whoever runs the API adds the application under the name that the token has.";
    /// There are no keys to verify with.
    UNAVAILABLE = "jwks_unavailable", 503, grpc 14, Gateway, "The issuer's keys are not available",
        "Try again later; operators see in the log why the issuer's keys can't be fetched.";
}
