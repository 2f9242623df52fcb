// An OpenID provider on loopback: oidc-provider, which is certified. Its first line is its port.
//
// The provider's own endpoints are at its issuer, http://127.0.0.1:PORT; discovery tells where.
// Clients: `machine` (client_secret_basic, client credentials), `resource` (introspects and
// exchanges tokens), `sender` (client credentials, tokens bound by DPoP), `web` (code flow with
// PKCE, back to what the first argument says). All have the secret `SECRET` below.
// A token with `resource=urn:orders` is a JWT (RFC 9068) for that audience; one without is opaque.
//
//   POST /test/rotate            a new signing key takes the place of the old one
//   POST /test/answer/KIND       what the keys' address answers: right, broken, html, long, moved,
//                                slow (nothing until told otherwise)
//   GET  /test/asked             how often each path was asked for, as JSON

import http from 'node:http';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const SECRET = 'a-secret-for-tests-that-is-long-enough';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const BACK = process.argv[2] ?? 'http://127.0.0.1/cb';

const asked = {};
/// What an exchanged token says beyond the usual.
const exchanged = new WeakMap();
let answer = 'right';
let provider;
let issuer;

async function key() {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, alg: 'ES256', use: 'sig', kid: await calculateJwkThumbprint(jwk) };
}

/// Kept across rotations, so that sessions and opaque tokens outlive them.
const kept = new Map();
const grants = new Map();

class Kept {
  constructor(model) {
    this.model = model;
  }

  name(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload, seconds) {
    kept.set(this.name(id), { payload, ends: seconds ? Date.now() + seconds * 1000 : Infinity });
    if (payload.grantId) {
      grants.set(payload.grantId, [...(grants.get(payload.grantId) ?? []), this.name(id)]);
    }
  }

  async find(id) {
    const found = kept.get(this.name(id));
    return found && found.ends > Date.now() ? found.payload : undefined;
  }

  async findByUid(uid) {
    for (const [name, { payload }] of kept) {
      if (name.startsWith(`${this.model}:`) && payload.uid === uid) return payload;
    }
    return undefined;
  }

  async findByUserCode(code) {
    for (const [name, { payload }] of kept) {
      if (name.startsWith(`${this.model}:`) && payload.userCode === code) return payload;
    }
    return undefined;
  }

  async consume(id) {
    const found = kept.get(this.name(id));
    if (found) found.payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    kept.delete(this.name(id));
  }

  async revokeByGrantId(grantId) {
    for (const name of grants.get(grantId) ?? []) kept.delete(name);
    grants.delete(grantId);
  }
}

function client(client_id, more) {
  return {
    client_id,
    client_secret: SECRET,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    ...more,
  };
}

async function made(keys) {
  const made = new Provider(issuer, {
    adapter: Kept,
    jwks: { keys },
    cookies: { keys: [SECRET] },
    pkce: { required: () => true },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'orders:read', 'orders:write'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    conformIdTokenClaims: false,
    findAccount: async (_ctx, id) => ({
      accountId: id,
      claims: async () => ({
        sub: id,
        name: `The user ${id}`,
        email: `${id}@example.com`,
        email_verified: true,
      }),
    }),
    clients: [
      client('machine'),
      client('resource', { grant_types: ['client_credentials', EXCHANGE] }),
      client('sender', { dpop_bound_access_tokens: true }),
      client('web', {
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [BACK],
        post_logout_redirect_uris: [new URL('/', BACK).href],
        response_types: ['code'],
      }),
    ],
    extraTokenClaims: async (_ctx, token) => exchanged.get(token),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async () => true },
      revocation: { enabled: true, allowedPolicy: async () => true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: async () => undefined,
        useGrantedResource: async () => true,
        getResourceServerInfo: async (_ctx, resource) => ({
          audience: resource,
          scope: 'orders:read orders:write',
          accessTokenFormat: resource.startsWith('urn:') ? 'jwt' : 'opaque',
          accessTokenTTL: 600,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  made.registerGrantType(EXCHANGE, exchange, [
    'audience', 'resource', 'scope', 'requested_token_type', 'subject_token',
    'subject_token_type', 'actor_token', 'actor_token_type',
  ]);
  made.on('server_error', (_ctx, error) => console.error(error));
  return made;
}

/// RFC 8693, the part that gateways need: an opaque or JWT access token of this provider for a JWT
/// of another audience.
async function exchange(ctx) {
  const { ClientCredentials } = ctx.oidc.provider;
  const { params, client: asking } = ctx.oidc;
  const [, payload] = (params.subject_token ?? '').split('.');
  const opaque = await ClientCredentials.find(params.subject_token);
  const said = payload && JSON.parse(Buffer.from(payload, 'base64url').toString());
  const subject = opaque?.clientId ?? said?.sub;
  if (!subject) {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant', error_description: 'the subject token is not known' };
    return;
  }
  const resource = `${params.resource ?? params.audience ?? 'urn:orders'}`;
  const token = new ClientCredentials({ client: asking, scope: params.scope ?? 'orders:read' });
  token.resourceServer = new ctx.oidc.provider.ResourceServer(resource, {
    audience: resource,
    scope: 'orders:read orders:write',
    accessTokenFormat: 'jwt',
    accessTokenTTL: 600,
    jwt: { sign: { alg: 'ES256' } },
  });
  exchanged.set(token, { act: { sub: asking.clientId }, subject });
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: token.expiration,
    scope: token.scope,
  };
}

function keys(response) {
  switch (answer) {
    case 'broken':
      response.writeHead(500).end('{"error":"broken"}');
      return true;
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>not here</html>');
      return true;
    case 'long':
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(`{"keys":[],"pad":"${'x'.repeat(10 << 20)}"}`);
      return true;
    case 'moved':
      response.writeHead(302, { location: `${issuer}/test/elsewhere` }).end();
      return true;
    case 'slow':
      return true;
    default:
      return false;
  }
}

const server = http.createServer(async (request, response) => {
  const path = new URL(request.url, issuer).pathname;
  asked[path] = (asked[path] ?? 0) + 1;
  if (path === '/test/rotate') {
    provider = await made([await key()]);
    response.end('rotated');
  } else if (path.startsWith('/test/answer/')) {
    answer = path.slice('/test/answer/'.length);
    response.end(answer);
  } else if (path === '/test/asked') {
    response.end(JSON.stringify(asked));
  } else if (path !== '/jwks' || !keys(response)) {
    provider.callback()(request, response);
  }
});

server.listen(0, '127.0.0.1', async () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  provider = await made([await key()]);
  console.log(server.address().port);
});
