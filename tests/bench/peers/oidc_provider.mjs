// node oidc-provider with the least that the measured requests need: its memory for storage, one client for each algorithm.
import { createPrivateKey, generateKeyPairSync, randomUUID } from 'node:crypto'
import Provider from 'oidc-provider'

const [port, secret] = process.argv.slice(2)
const key = (type, options, alg) => {
  const { privateKey } = generateKeyPairSync(type, { ...options, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } })
  return { ...createPrivateKey(privateKey).export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() }
}
const server = (alg) => ({
  scope: 'read',
  audience: `urn:api:${alg.toLowerCase()}`,
  accessTokenFormat: 'jwt',
  accessTokenTTL: 36_000,
  jwt: { sign: { alg } },
})
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: ['opaque', 'es256', 'rs256'].map((client_id) => ({
    client_id,
    client_secret: secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
  })),
  jwks: { keys: [key('rsa', { modulusLength: 2048 }, 'RS256'), key('ec', { namedCurve: 'P-256' }, 'ES256')] },
  scopes: ['read'],
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, client) => (client.clientId === 'opaque' ? undefined : `urn:api:${client.clientId}`),
      getResourceServerInfo: (ctx, resource) => server(resource.endsWith('rs256') ? 'RS256' : 'ES256'),
      useGrantedResource: () => true,
    },
  },
  ttl: { ClientCredentials: 36_000 },
})
provider.listen(Number(port), '127.0.0.1')
