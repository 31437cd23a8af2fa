// The tokens and passwords that the tests of this file have used, so that what was written anywhere can
// be searched for each of them.

const known = new Set<string>()
/** Below it a word may be in a log for other reasons. */
const lengthMin = 12
/** Tokens are known by their form too, whoever made them. */
const tokenForms = [/\bsbp_(?:fc)?[0-9a-f]{40}/, /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}/]

export function noteSecret(text: string): void {
  if (text.length < lengthMin) return
  known.add(text)
  // The signature alone is as good as the rest, which anybody can guess.
  const signature = text.startsWith('eyJ') ? text.split('.')[2] : undefined
  if (signature !== undefined && signature.length >= lengthMin) known.add(signature)
}

/** Throws with the first line that has one, the secret cut out. */
export function expectNoSecretIn(text: string): void {
  for (const secret of known) {
    const at = text.indexOf(secret)
    if (at !== -1) throw new Error(`a secret in the log: ${around(text, at, secret.length)}`)
  }
  for (const form of tokenForms) {
    const match = form.exec(text)
    if (match !== null) {
      throw new Error(`a token in the log: ${around(text, match.index, match[0].length)}`)
    }
  }
}

const around = (text: string, at: number, length: number): string =>
  `${text.slice(Math.max(0, at - 300), at)}[secret]${text.slice(at + length, at + length + 300)}`
