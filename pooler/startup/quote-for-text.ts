/** The longest part of a stranger's text that an error repeats, in UTF-16 units. */
const quotedMax = 64

/** A stranger's text in quotes, cut and without control characters: fit for an error and a log line. */
export function quoteForText(text: string): string {
  const shown = text.length > quotedMax ? `${text.slice(0, quotedMax).toWellFormed()}…` : text
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken away
  return `"${shown.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?')}"`
}
