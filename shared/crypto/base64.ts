/** The bytes, or null for anything but their one canonical spelling (RFC 4648 sections 3.3 and 3.5), which Node writes. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}
