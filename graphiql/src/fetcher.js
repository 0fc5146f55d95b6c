// Carries operations to the server with the access token: queries and mutations over HTTP, subscriptions over WebSocket.
import { createGraphiQLFetcher } from '@graphiql/toolkit'
import { createClient } from 'graphql-ws'
import { accessToken, askToSignIn, onTokenChange, renew } from './session.js'

const url = new URL('/graphql', location.href)
const socketUrl = new URL(url)
socketUrl.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'

async function isUnauthenticated(response) {
  if (response.status === 401) return true
  if (!/json/.test(response.headers.get('Content-Type') ?? '')) return false
  const body = await response.clone().json().catch(() => null)
  // With data beside the error something has run already, and repeating it could write twice.
  return !body?.data && body?.errors?.some((error) => error.extensions?.code === 'UNAUTHENTICATED')
}

async function authorisedFetch(input, init) {
  const headers = new Headers(init.headers)
  // An Authorization typed into the headers editor (an API token, say) is the user's choice.
  if (headers.has('Authorization')) return fetch(input, init)
  const send = async () => {
    const sent = await accessToken()
    if (sent) headers.set('Authorization', `Bearer ${sent}`)
    return [await fetch(input, { ...init, headers, credentials: 'same-origin' }), sent]
  }
  const [response, sent] = await send()
  if (!(await isUnauthenticated(response)) || !(await renew(sent))) return response
  return (await send())[0]
}

let sentToSocket = null
const socket = createClient({
  url: socketUrl.href,
  lazy: true,
  // Asked at every connection, so that a reconnection carries the token of that moment.
  connectionParams: async () => {
    sentToSocket = await accessToken()
    if (sentToSocket) return { authorization: `Bearer ${sentToSocket}` }
    askToSignIn()
    throw new Error('Sign in to subscribe.')
  },
  on: {
    // 4401 and 4403: the server refused the token; the client's next attempt should bring another.
    closed: ({ code }) => (code === 4401 || code === 4403) && renew(sentToSocket),
  },
})
// The server ends a socket with its token: connect anew, and running subscriptions go on under the new one.
onTokenChange(() => socket.terminate())

export const fetcher = createGraphiQLFetcher({ url: url.href, fetch: authorisedFetch, wsClient: socket })
