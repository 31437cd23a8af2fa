// Why somebody who comes back from the identity provider is not signed in. The address says which.

export interface SignInFault {
  readonly code: string
  readonly text: string
  readonly hint: string
}

const faults: Readonly<Record<string, Omit<SignInFault, 'code'>>> = {
  forgotten: {
    text: 'This sign-in was not begun in this browser, or more than ten minutes ago.',
    hint: 'Begin again here.',
  },
  foreign: {
    text: 'The answer that came back does not belong to the sign-in of this browser.',
    hint: 'Another tab may have begun a newer one. If you followed a link to get here, do not use it again.',
  },
  denied: {
    text: 'The sign-in was refused or called off at the identity provider.',
    hint: 'Try again, or ask who runs the provider whether you may use this dashboard.',
  },
  provider: {
    text: 'The identity provider gave no answer that could be used.',
    hint: 'Try again in a minute, or sign in with a token. Whoever runs this Latchkey finds the reason in its log.',
  },
  untrusted: {
    text: 'What the identity provider said of you could not be verified.',
    hint: 'Whoever runs this Latchkey finds the reason in its log; AUTH_ISSUER, AUTH_CLIENT_ID and the clock are the usual ones.',
  },
  stranger: {
    text: 'The identity provider knows you, but you are no member here yet.',
    hint: 'Ask for an invitation, or have whoever runs this Latchkey link your identity; its log names it.',
  },
  over: {
    text: 'This sign-in was logged out.',
    hint: 'Sign out at the identity provider, and begin again.',
  },
  often: {
    text: 'Too many sign-ins from your network have failed.',
    hint: 'Wait a minute, and begin again.',
  },
}

/** Of the address that the page was opened with; null: nothing went wrong. */
export function signInFaultIn(search: string): SignInFault | null {
  const name = new URLSearchParams(search).get('sign_in') ?? ''
  const fault = Object.hasOwn(faults, name) ? faults[name] : undefined
  return fault === undefined ? null : { code: `sign_in=${name}`, ...fault }
}
