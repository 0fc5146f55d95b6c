// GraphiQL with our session, examples and theme button around it.
import { DOC_EXPLORER_PLUGIN } from '@graphiql/plugin-doc-explorer'
import { HISTORY_PLUGIN } from '@graphiql/plugin-history'
import { useGraphiQL, useGraphiQLActions } from '@graphiql/react'
import { GraphiQL } from 'graphiql'
import { useSyncExternalStore } from 'react'
import { EXAMPLES_PLUGIN, examples, withToday } from './examples.jsx'
import { fetcher } from './fetcher.js'
import { Header } from './header.jsx'
import { getState, subscribe } from './session.js'
import { SignIn } from './sign-in.jsx'

const plugins = [EXAMPLES_PLUGIN, HISTORY_PLUGIN]

function firstVisit() {
  if (localStorage.getItem('graphiql:tabState')) return {}
  const { query, variables } = withToday(examples[0])
  return { initialQuery: query, initialVariables: variables, defaultTabs: [{ query, variables }] }
}
const initial = firstVisit()

const prefersDark = matchMedia('(prefers-color-scheme: dark)')

function ThemeButton() {
  const theme = useGraphiQL((state) => state.theme)
  const { setTheme } = useGraphiQLActions()
  const dark = theme ? theme === 'dark' : prefersDark.matches
  const label = dark ? 'Light theme' : 'Dark theme'
  return (
    <button type="button" className="theme-button" title={label} aria-label={label} onClick={() => setTheme(dark ? 'light' : 'dark')}>
      {dark ? '☀' : '☾'}
    </button>
  )
}

export function App() {
  const session = useSyncExternalStore(subscribe, getState)
  return (
    <>
      <Header session={session} />
      <main>
        <GraphiQL
          key={session.generation}
          fetcher={fetcher}
          // null: ask for no schema while the server would refuse it; it loads once someone has signed in.
          schema={session.user ? undefined : null}
          schemaDescription
          inputValueDeprecation
          plugins={plugins}
          referencePlugin={DOC_EXPLORER_PLUGIN}
          visiblePlugin={EXAMPLES_PLUGIN}
          {...initial}
          defaultQuery=""
          shouldPersistHeaders={false}
          showPersistHeadersSettings={false}
        >
          <GraphiQL.Logo>
            <ThemeButton />
          </GraphiQL.Logo>
        </GraphiQL>
      </main>
      {session.asking && <SignIn notice={session.notice} />}
    </>
  )
}
