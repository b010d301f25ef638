// An OAuth issuer: `node issuer.mjs RESOURCE CLIENT...`, with oidc-provider in the folder of NODE_MODULES. Prints its URL.
import { createRequire } from 'node:module'
import { createServer } from 'node:http'
import { pathToFileURL } from 'node:url'

const require = createRequire(`${process.env.NODE_MODULES}/x.js`)
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')))
const [allowed, ...names] = process.argv.slice(2)

const resourceServer = (_, resource) => ({
  scope: resource === allowed ? 'mcp other' : 'mcp',
  audience: resource,
  accessTokenFormat: 'jwt',
  accessTokenTTL: 600,
  jwt: { sign: { alg: 'RS256' } },
})

const http = createServer()
http.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${http.address().port}`
  const provider = new Provider(issuer, {
    clients: names.map((name) => ({
      client_id: name,
      client_secret: `secret-of-${name}`,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    scopes: ['openid', 'offline_access', 'mcp', 'other'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => allowed,
        useGrantedResource: () => true,
        getResourceServerInfo: resourceServer,
      },
    },
    pkce: { required: () => true },
  })
  http.on('request', provider.callback())
  console.log(issuer)
})
