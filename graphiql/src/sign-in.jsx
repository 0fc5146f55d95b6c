// The sign-in panel, over GraphiQL until someone signs in or looks around without.
import { useEffect, useRef, useState } from 'react'
import { dismiss, signIn } from './session.js'

export function SignIn({ notice }) {
  const dialog = useRef(null)
  const [problem, setProblem] = useState(notice)
  const [busy, setBusy] = useState(false)

  useEffect(() => {
    dialog.current.showModal()
  }, [])

  async function submit(event) {
    event.preventDefault()
    const { email, password } = event.currentTarget.elements
    setBusy(true)
    setProblem(await signIn(email.value, password.value))
    setBusy(false)
  }

  return (
    <dialog ref={dialog} className="sign-in" aria-labelledby="sign-in-title" onClose={dismiss}>
      <form onSubmit={submit}>
        <h1 id="sign-in-title">Sign in</h1>
        <p>The plan, its schema and the documentation are open to people with an account: sign in, and they load here.</p>
        {problem && (
          <p className="sign-in-problem" role="alert">
            <strong>{problem.title}</strong>
            {problem.detail && <span>{problem.detail}</span>}
          </p>
        )}
        <label>
          E-mail
          <input name="email" type="email" autoComplete="username" required autoFocus />
        </label>
        <label>
          Password
          <input name="password" type="password" autoComplete="current-password" required />
        </label>
        <button type="submit" className="bar-button primary" disabled={busy}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
        <button type="button" className="sign-in-later" onClick={() => dialog.current.close()}>
          Look around without signing in
        </button>
      </form>
    </dialog>
  )
}
