// The page's entry: style nonces first, then the editors' workers, the session and the interface.
import './nonce.js'
import './workers.js'
import '@graphiql/react/style.css'
import '@graphiql/plugin-doc-explorer/style.css'
import '@graphiql/plugin-history/style.css'
import 'graphiql/graphiql.css'
import './style.css'
import { createRoot } from 'react-dom/client'
import { App } from './app.jsx'
import { refresh } from './session.js'

createRoot(document.getElementById('root')).render(<App />)
// A reload stays signed in: the cookie, if there is one, gives a new access token.
refresh()
