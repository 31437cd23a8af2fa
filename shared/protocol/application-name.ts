// application_name as Postgres keeps it: cut like an identifier, then printable ASCII only
// (GUC_IS_NAME and pg_clean_ascii, src/backend/utils/misc/guc.c and src/common/string.c).

/** NAMEDATALEN - 1. */
export const applicationNameBytesMax = 63

/** Printable ASCII, and `\xNN` for each other byte; Postgres before 16 has `?` there. */
export function cleanAscii(value: Buffer): string {
  return value
    .toString('latin1')
    .replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

/** A name as a server of UTF-8 reports it. */
export function applicationNameAsKept(name: string): string {
  const bytes = Buffer.from(name)
  let end = Math.min(bytes.length, applicationNameBytesMax)
  // Not within a character: its further bytes are 10xxxxxx.
  while (end < bytes.length && ((bytes[end] as number) & 0xc0) === 0x80) end--
  return cleanAscii(bytes.subarray(0, end))
}
