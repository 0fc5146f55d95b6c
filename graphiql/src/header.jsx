// The bar above GraphiQL: the product, who is signed in, and what went wrong.
import logo from './favicon.svg'
import { askToSignIn, clearNotice, signOut } from './session.js'

const nameOf = (user) => [user.first_name, user.last_name].filter(Boolean).join(' ') || user.email
const rolesOf = (user) => (user.roles ?? []).map((role) => role.name ?? role).join(', ')

function Session({ status, user }) {
  if (status === 'restoring') return <span className="bar-state">Looking for your session…</span>
  if (!user) {
    return (
      <>
        <span className="bar-state">Not signed in</span>
        <button type="button" className="bar-button primary" onClick={askToSignIn}>
          Sign in
        </button>
      </>
    )
  }
  return (
    <>
      <span className="bar-state" title={user.email}>
        Signed in as <strong>{nameOf(user)}</strong>
        {rolesOf(user) && <span className="bar-roles">{rolesOf(user)}</span>}
      </span>
      <button type="button" className="bar-button" onClick={signOut}>
        Sign out
      </button>
    </>
  )
}

export function Header({ session }) {
  return (
    <header className="bar">
      <a className="bar-brand" href="/graphql">
        <img src={logo} alt="" width="26" height="26" />
        <span>Plan de Charge</span>
        <small>GraphiQL</small>
      </a>
      {session.notice && (
        <p className="bar-notice" role="alert">
          <strong>{session.notice.title}.</strong> {session.notice.detail}
          <button type="button" aria-label="Dismiss" onClick={clearNotice}>
            ×
          </button>
        </p>
      )}
      <div className="bar-session" aria-live="polite">
        <Session {...session} />
      </div>
    </header>
  )
}
