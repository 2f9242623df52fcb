// A token bound to a key, and proofs that jose makes with it (RFC 9449).
//
//   dpop.mjs ISSUER AUDIENCE METHOD URL     prints {jwks, token, proofs} as JSON

import { createHash, randomUUID } from 'node:crypto';
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';

const [issuer, audience, method, url] = process.argv.slice(2);

const own = await generateKeyPair('ES256', { extractable: true });
const bound = await generateKeyPair('EdDSA', { extractable: true });
const stranger = await generateKeyPair('EdDSA', { extractable: true });
const jkt = await calculateJwkThumbprint(await exportJWK(bound.publicKey));
const token = await new SignJWT({ client_id: 'sender', cnf: { jkt } })
  .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k' })
  .setIssuer(issuer)
  .setAudience(audience)
  .setSubject('ann')
  .setIssuedAt()
  .setExpirationTime('10m')
  .sign(own.privateKey);

async function proof(keys, claims) {
  const ath = createHash('sha256').update(token).digest('base64url');
  return new SignJWT({ htm: method, htu: url, jti: randomUUID(), ath, ...claims })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'dpop+jwt', jwk: await exportJWK(keys.publicKey) })
    .setIssuedAt()
    .sign(keys.privateKey);
}

console.log(JSON.stringify({
  jwks: { keys: [{ ...(await exportJWK(own.publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }] },
  token,
  proofs: {
    right: await proof(bound, {}),
    stranger: await proof(stranger, {}),
    elsewhere: await proof(bound, { htu: `${url}/elsewhere` }),
    another: await proof(bound, {}),
  },
}));
