// The table of settings in README.md. vitest with this file and `-u` behind it writes
// it anew from the code.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { type Setting, settingNames, settings } from '../../../pooler/config/settings.ts'

const readmePath = resolve(import.meta.dirname, '../../../README.md')

function settingsTable(): string {
  const rows = settingNames.map((name) => {
    const { kind, defaultText, doc }: Setting<unknown> = settings[name]
    const cells = [`\`${name}\``, defaultText ? `\`${defaultText}\`` : '', kind.allowed, doc]
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  })
  return ['| Setting | Default | Allowed | Meaning |', '|---|---|---|---|', ...rows].join('\n')
}

test('the table in README.md is what the code reads', async () => {
  const readme = readFileSync(readmePath, 'utf8')
  const marked = /(<!-- settings -->\n)[\s\S]*?(<!-- \/settings -->)/
  expect(readme).toMatch(marked)
  const renewed = readme.replace(marked, (_all, start, end) => `${start}${settingsTable()}\n${end}`)
  await expect(renewed).toMatchFileSnapshot(readmePath)
})

test.each(settingNames)('%s is documented in one whole sentence', (name) => {
  expect(settings[name].doc).toMatch(/^\S[^\n]+\.$/)
})
