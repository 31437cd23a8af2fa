// URLs that a secret is sent to, or that trust is taken from: over TLS, or not off this machine.

/** What is wrong with it, to stand behind the name of a field or setting; null: nothing. */
export function guardedUrlFault(text: string): string | null {
  const url = URL.parse(text)
  if (url === null) return 'is not a URL'
  const isPlainLoopback = url.protocol === 'http:' && loopbackNames.includes(url.hostname)
  if (url.protocol !== 'https:' && !isPlainLoopback) return 'must be https, or http on loopback'
  if (url.username !== '' || url.password !== '') return 'must not carry credentials'
  return null
}

const loopbackNames = ['localhost', '127.0.0.1', '[::1]']
