// Who is signed in. The access token lives in this module's memory only; the refresh token is a cookie that no script can read.
const AUTH = '/api/v1/auth'
// Another site can make a browser send the cookie, but not this header.
const SAME_SITE_PROOF = { 'X-Requested-With': 'plancharge' }
const RETRY_AFTER_FAILURE_MS = 30_000
const ENDED = { title: 'Your session has ended', detail: 'Sign in again to go on.' }

let token = null // { value, expiresAt }
let timer
let refreshing = null
// generation rises when another person may be at the screen: the page then forgets the answers it shows.
let state = { status: 'restoring', user: null, notice: null, asking: false, generation: 0 }

const listeners = new Set()
const tokenListeners = new Set()
const otherTabs = new BroadcastChannel('plancharge-session')

function set(change) {
  state = { ...state, ...change }
  for (const listener of listeners) listener()
}

export const getState = () => state
export const onTokenChange = (listener) => tokenListeners.add(listener)
export const askToSignIn = () => set({ asking: true })
export const dismiss = () => set({ asking: false })
export const clearNotice = () => set({ notice: null })

export function subscribe(listener) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

// A refresh token is good for one use, and a second use ends the session in every tab: so refreshes queue, across tabs too.
// navigator.locks is missing on plain http outside localhost; there, each tab queues by itself.
const exclusively = (work) => (navigator.locks ? navigator.locks.request('plancharge-refresh', work) : work())

async function problemOf(response) {
  const body = await response.json().catch(() => ({}))
  return {
    status: response.status,
    title: body.title ?? `The server answered ${response.status}`,
    detail: body.detail ?? 'Try again; if it persists, tell your administrator.',
  }
}

const unreachable = { title: 'The server cannot be reached', detail: 'Check the connection, then try again.' }

async function post(path, options = {}) {
  // keepalive: a rotated cookie must reach the browser even when the page is closing.
  const request = { method: 'POST', credentials: 'same-origin', keepalive: true, ...options }
  const response = await fetch(AUTH + path, request).catch(() => null)
  if (!response) return { problem: unreachable }
  if (!response.ok) return { problem: await problemOf(response) }
  return { body: response.status === 204 ? null : await response.json() }
}

function keep({ access_token, expires_in }) {
  token = { value: access_token, expiresAt: Date.now() + expires_in * 1000 }
  clearTimeout(timer)
  timer = setTimeout(() => refresh(), expires_in * 800)
  for (const listener of tokenListeners) listener()
}

function drop(change) {
  const wasSignedIn = token !== null
  token = null
  clearTimeout(timer)
  set({ status: 'anonymous', user: null, ...change })
  if (wasSignedIn) for (const listener of tokenListeners) listener()
}

async function loadUser(fallbackEmail) {
  const headers = { Authorization: `Bearer ${token.value}` }
  const response = await fetch(`${AUTH}/me`, { headers, credentials: 'same-origin' }).catch(() => null)
  const notice = response?.ok ? null : response ? await problemOf(response) : unreachable
  const user = response?.ok ? await response.json() : (state.user ?? { email: fallbackEmail })
  const another = state.user !== null && state.user.id !== user.id
  set({ status: 'signed-in', user, notice, asking: false, generation: state.generation + (another ? 1 : 0) })
}

export async function signIn(email, password) {
  const form = new URLSearchParams({ username: email, password, use_cookie: 'true' })
  return exclusively(async () => {
    const { body, problem } = await post('/login', { body: form, headers: SAME_SITE_PROOF })
    if (problem) return problem
    keep(body)
    await loadUser(email)
    return null
  })
}

export async function signOut() {
  const headers = { ...SAME_SITE_PROOF, Authorization: `Bearer ${await accessToken()}` }
  const { problem } = await exclusively(() => post('/logout', { headers }))
  // 401: the session was over already. Anything else leaves the cookie alive, and saying "signed out" would be untrue.
  if (problem && problem.status !== 401) return set({ notice: { ...problem, title: `Not signed out. ${problem.title}` } })
  otherTabs.postMessage('signed-out')
  return forget()
}

const forget = () => drop({ notice: null, asking: true, generation: state.generation + 1 })

otherTabs.onmessage = ({ data }) => {
  if (data === 'signed-out' && token) forget()
}

// Resolves to true when there is a new access token. Callers at the same time share one request.
export function refresh() {
  refreshing ??= exclusively(refreshNow).finally(() => {
    refreshing = null
  })
  return refreshing
}

async function refreshNow() {
  const { body, problem } = await post('/refresh', { headers: SAME_SITE_PROOF })
  if (!problem) {
    keep(body)
    await loadUser()
    return true
  }
  const refused = problem.status === 400 || problem.status === 401 || problem.status === 403
  if (refused || state.status === 'restoring') {
    drop({ notice: state.status === 'signed-in' ? ENDED : refused ? null : problem, asking: true })
  } else {
    clearTimeout(timer)
    timer = setTimeout(() => refresh(), RETRY_AFTER_FAILURE_MS)
  }
  return false
}

// The token to send now, renewed first when it is about to expire (a laptop that slept misses the timer).
export async function accessToken() {
  if (token && token.expiresAt - Date.now() < 10_000) await refresh()
  return token?.value ?? null
}

// The server refused `sent`. True when another token is at hand and the request is worth repeating.
export async function renew(sent) {
  if (token && token.value !== sent) return true
  if (token) return refresh()
  askToSignIn()
  return false
}
