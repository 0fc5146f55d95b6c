// Drives a real Chromium through the page and prints what happened as one JSON object; tests/test_graphiql.py judges it.
// node check.mjs '{"base", "chromium", "email", "password", "subscription", "subscriptionAnswer", "screenshots"}'
import { chromium } from 'playwright-core'

const visit = JSON.parse(process.argv[2])
const { base, email, password } = visit
const flags = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync']
const report = { requests: [], workers: [], socketTokens: [], violations: [], errors: [] }

const browser = await chromium.launch({ executablePath: visit.chromium, headless: true, args: flags })
const context = await browser.newContext({ viewport: { width: 1440, height: 860 } })
const page = await context.newPage()

context.on('request', (request) => report.requests.push(request.url()))
page.on('worker', (worker) => report.workers.push(worker.url()))
page.on('websocket', (socket) =>
  socket.on('framesent', ({ payload }) => {
    const message = JSON.parse(payload)
    if (message.type === 'connection_init') report.socketTokens.push(message.payload.authorization)
  }),
)
page.on('pageerror', (error) => report.errors.push(String(error)))
page.on('console', (message) => {
  if (/content security policy/i.test(message.text())) report.violations.push(message.text())
  else if (message.type() === 'error') report.errors.push(message.text())
})
await page.addInitScript(() => {
  addEventListener('securitypolicyviolation', (event) => console.warn(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI}`))
})

const shot = (name) => page.screenshot({ path: `${visit.screenshots}/${name}.png` })
// Monaco draws blanks as no-break spaces.
const linesOf = async (editor) => (await page.locator(`${editor} .view-lines`).innerText()).replaceAll('\u00a0', ' ')
const answer = () => linesOf('.graphiql-response')
const state = () => page.locator('.bar-session').innerText()
const run = () => page.getByRole('button', { name: /execute query/i }).click()
const answerHas = (text) =>
  page.waitForFunction(
    (wanted) => document.querySelector('.graphiql-response .view-lines')?.innerText.replace(/\u00a0/g, ' ').includes(wanted),
    text,
    { timeout: 15_000 },
  )

const refreshes = () => report.requests.filter((url) => url.endsWith('/auth/refresh')).length
// Answers once like a server that no longer accepts the access token; after that, the real server answers.
const refuseOnce = () =>
  page.route('**/graphql', (route) => route.fulfill({ status: 401, contentType: 'application/problem+json', body: '{}' }), { times: 1 })

async function signIn(secret) {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(secret)
  await page.locator('.sign-in').getByRole('button', { name: 'Sign in' }).click()
}

async function typeQuery(text) {
  await page.locator('.graphiql-query-editor .monaco-editor').first().click()
  await page.keyboard.press('Control+A')
  await page.keyboard.insertText(text)
  await page.waitForTimeout(300) // GraphiQL reads the operation's name a moment after the last key
}

try {
  await page.goto(`${base}/graphql`)
  await page.locator('.sign-in').waitFor()
  report.introspectedBeforeSignIn = report.requests.filter((url) => url === `${base}/graphql`).length > 1
  report.invitation = await page.locator('.sign-in').innerText()
  await page.locator('.graphiql-query-editor .view-lines').waitFor()
  await shot('1-sign-in')

  await signIn('wrong password')
  report.refusal = await page.locator('.sign-in-problem').innerText()
  await shot('2-refused')
  await signIn(password)
  await page.locator('.sign-in').waitFor({ state: 'detached' })
  report.signedIn = await state()
  report.examples = await page.locator('.examples li strong').allInnerTexts()
  await shot('3-examples')

  await page.locator('.examples button').last().click()
  await page.waitForTimeout(300)
  report.exampleQuery = await linesOf('.graphiql-query-editor')
  report.exampleTab = await page.locator('.graphiql-tab[aria-selected="true"], .graphiql-tab-active').first().innerText()

  await page.getByRole('button', { name: /new tab/i }).click()
  await typeQuery('query Me { me { email } }')
  await run()
  await answerHas('"email"')
  report.answer = await answer()
  await shot('4-answer')

  await typeQuery(visit.subscription)
  await run()
  await answerHas(visit.subscriptionAnswer)
  report.subscription = await answer()

  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click()
  await page.locator('.graphiql-doc-explorer').getByText('Query', { exact: true }).first().waitFor()
  report.documentation = await page.locator('.graphiql-doc-explorer').innerText()
  await page.getByRole('button', { name: 'Dark theme' }).click()
  await page.waitForTimeout(300)
  await shot('5-dark-documentation')

  await refuseOnce()
  await page.getByRole('button', { name: /re-fetch graphql schema/i }).click()
  for (let waited = 0; report.socketTokens.length < 2 && waited < 10_000; waited += 100) await page.waitForTimeout(100)
  await page.getByRole('button', { name: /stop query/i }).click()

  const before = refreshes()
  await refuseOnce()
  await typeQuery('query Me { me { email } }')
  await run()
  await answerHas('"email"')
  report.answerAfterRenewal = await answer()
  report.refreshesForRenewal = refreshes() - before

  await page.reload()
  await page.getByText('Signed in as').waitFor()
  report.afterReload = await state()
  report.stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))

  const other = await context.newPage()
  await Promise.all([page.reload(), other.goto(`${base}/graphql`)])
  await Promise.all([page, other].map((tab) => tab.locator('.bar-session button').waitFor()))
  report.twoTabs = await Promise.all([page, other].map((tab) => tab.locator('.bar-session').innerText()))
  await page.bringToFront()
  await page.locator('.graphiql-query-editor .view-lines').waitFor()
  await run()
  await answerHas('"email"')

  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.locator('.sign-in').waitFor()
  report.signedOut = await state()
  report.signedOutOtherTab = await other.locator('.bar-session').innerText()
  await page.locator('.graphiql-response .view-lines').waitFor({ state: 'attached' })
  report.answerAfterSignOut = (await answer()).trim()
} catch (error) {
  report.failure = String(error)
  await shot('failure')
} finally {
  await browser.close()
}
console.log(JSON.stringify(report))
