// The "Examples" panel: the documents of schema/examples, each opened in a tab of its own.
import { useGraphiQL, useGraphiQLActions } from '@graphiql/react'
import { months } from './months.js'

const documents = import.meta.glob('../../schema/examples/*.graphql', { query: '?raw', import: 'default', eager: true })
const variables = import.meta.glob('../../schema/examples/*.variables.json', { query: '?raw', import: 'default', eager: true })

const comment = (line) => line.replace(/^#\s*/, '')

export const examples = Object.keys(documents)
  .sort()
  .map((path) => {
    const query = documents[path]
    const [title, explanation] = query.split('\n', 2).map(comment)
    return { title, explanation, query, variables: variables[path.replace(/\.graphql$/, '.variables.json')] ?? '' }
  })

export const withToday = (example) => ({ ...example, variables: months(example.variables, new Date()) })

function ExamplesIcon(props) {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" {...props}>
      <path d="M4 6h2M4 12h2M4 18h2M10 6h10M10 12h10M10 18h7" />
    </svg>
  )
}

function ExampleList() {
  const { queryEditor, variableEditor, tabs } = useGraphiQL(({ queryEditor, variableEditor, tabs }) => ({
    queryEditor,
    variableEditor,
    tabs,
  }))
  const { addTab, changeTab } = useGraphiQLActions()

  function open(example) {
    const index = tabs.findIndex((tab) => tab.query === example.query)
    if (index >= 0) return changeTab(index)
    addTab()
    queryEditor.setValue(example.query)
    variableEditor.setValue(withToday(example).variables)
  }

  return (
    <section aria-label="Examples" className="examples">
      <h2 className="examples-title">Examples</h2>
      <p className="examples-intro">Open one, read it, press ▶ (or Ctrl-Enter). Variables stand below the query.</p>
      <ul>
        {examples.map((example) => (
          <li key={example.title}>
            <button type="button" disabled={!queryEditor || !variableEditor} onClick={() => open(example)}>
              <strong>{example.title}</strong>
              <span>{example.explanation}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}

export const EXAMPLES_PLUGIN = { title: 'Examples', icon: ExamplesIcon, content: ExampleList }
