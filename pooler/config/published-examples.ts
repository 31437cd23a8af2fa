/** Secrets of this length that stand in public example files and are known to every attacker. */
export const publishedExamples: ReadonlySet<string> = new Set([
  'aHD8DZRdk2emnkdktFZRh3E9RNg4aOY7',
  'UpNVntn3cDxHJpq99YMc1T1AQgQpc8kfYTuRgBiYa15BLrx8etQoXz3gZv1/u2oq',
  '12345678901234567890123456789012',
  '1234567890abcdef1234567890abcdef',
  '0123456789abcdef0123456789abcdef',
  '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
  '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  'abcdefghijklmnopqrstuvwxyz123456',
  'abcdefghijklmnopqrstuvwxyz012345',
  'super-secret-jwt-token-with-at-least-32-characters-long',
])
