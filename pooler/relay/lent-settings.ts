// SQL that puts settings in force for one Parse between a client's messages, and back to what they
// were. They are set for the transaction only, so that an error takes them along; what they were is
// kept on the server, because in the middle of a batch nobody else knows it. No row comes of it.

const kept = (name: string): string => `pg_catalog.concat('latchkey.', ${name})`

/** $1: names, $2: values, '' for the server's default. */
export const lendSql = `
SELECT FROM pg_catalog.generate_subscripts($1::pg_catalog.text[], 1) AS at
WHERE pg_catalog.concat(
  pg_catalog.set_config(${kept('($1::pg_catalog.text[])[at]')}, pg_catalog.current_setting(($1::pg_catalog.text[])[at]), true),
  pg_catalog.set_config(($1::pg_catalog.text[])[at],
    CASE WHEN ($2::pg_catalog.text[])[at] OPERATOR(pg_catalog.<>) '' THEN ($2::pg_catalog.text[])[at] END, true)
) IS NULL`

/** $1: names. */
export const giveBackSql = `
SELECT FROM pg_catalog.unnest($1::pg_catalog.text[]) AS lent (name)
WHERE pg_catalog.set_config(name, pg_catalog.current_setting(${kept('name')}), true) IS NULL`
