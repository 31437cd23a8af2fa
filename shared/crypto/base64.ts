const form = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** The bytes, or null for anything but the one canonical spelling (RFC 4648 sections 3.3 and 3.5). */
export function decodeBase64(text: string): Buffer | null {
  if (!form.test(text)) return null
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}
