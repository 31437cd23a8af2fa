import { expect, test } from 'vitest'
import { type SettingName, settingNames, settings } from '../../../pooler/config/settings.ts'

test('what may hold a secret is marked, so that no fault and no console shows it', () => {
  const named: readonly SettingName[] = settingNames.filter((name) =>
    /(PASSWORD|SECRET|ENC_KEY|WEBHOOK_URL|DATABASE_URL)/.test(name),
  )
  expect(named.length).toBeGreaterThan(8)
  expect(named.filter((name) => !settings[name].kind.isSecret)).toEqual([])
})
