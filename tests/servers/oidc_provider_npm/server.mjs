// oidc-provider on the port that is given, with a new key where the next word is "fresh". Anyone may sign in: `ann` is in the group `anns`.
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const [port, keys] = process.argv.slice(2);
const newKey = () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: `${Date.now()}`, alg: 'RS256', use: 'sig' };
};
const issuer = `http://127.0.0.1:${port}`;
const api = 'https://hub.example.org/api';

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'console',
      token_endpoint_auth_method: 'none',
      redirect_uris: ['http://127.0.0.1:9/callback'],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      application_type: 'native',
    },
  ],
  ...(keys === 'fresh' && { jwks: { keys: [newKey()] } }),
  pkce: { required: () => true },
  claims: { openid: ['sub', 'groups', 'email'] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.org`, groups: [`${id}s`] }),
  }),
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => api,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: 'openid', audience: api, accessTokenFormat: 'jwt' }),
    },
  },
  extraTokenClaims: (_, token) => ({ groups: [`${token.accountId}s`] }),
});
provider.listen(Number(port), '127.0.0.1');
