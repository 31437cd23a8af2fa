// What the embedded server holds: the metadata's database, and the demo project's database with its
// roles and the one function that auth_query needs. All as Postgres' superuser, on the first start.
import { Client } from 'pg'
import type { Installation, InstallationRole } from './installation.ts'

/** The server's own first database; people expect that name at the end of a connection string. */
export const demoDatabase = 'postgres'
export const metadataDatabase = 'latchkey'
export const managerRole = 'latchkey_manager'

/** `rolvaliduntil` so that an ended password stays out. */
export const demoAuthQuery =
  'SELECT rolname, rolpassword, rolvaliduntil FROM latchkey_auth.role_secret($1)'

/**
 * The manager may call one function and no more: it sees no table, and of superusers nothing, so that
 * nobody gets into the pooler as latchkey_admin. The function's search_path is empty, because its
 * owner is a superuser (manual, CREATE FUNCTION, "Writing SECURITY DEFINER Functions Safely").
 */
const authFunction = `
  CREATE SCHEMA latchkey_auth;
  CREATE FUNCTION latchkey_auth.role_secret(role_name text)
    RETURNS TABLE (rolname name, rolpassword text, rolvaliduntil timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS $$
      SELECT a.rolname, a.rolpassword, a.rolvaliduntil
      FROM pg_catalog.pg_authid AS a
      WHERE a.rolname = role_name AND a.rolcanlogin AND NOT a.rolsuper AND NOT a.rolreplication
    $$;
  REVOKE ALL ON FUNCTION latchkey_auth.role_secret(text) FROM PUBLIC;
  GRANT USAGE ON SCHEMA latchkey_auth TO ${managerRole};
  GRANT EXECUTE ON FUNCTION latchkey_auth.role_secret(text) TO ${managerRole};
`

/** `superuserUrl` gives the URL of a database. Does nothing that an earlier start has done. */
export async function prepareDatabases(
  installation: Installation,
  superuserUrl: (database: string) => string,
): Promise<void> {
  const client = new Client({
    connectionString: superuserUrl(demoDatabase),
    application_name: 'latchkey (demo)',
    // The demo's people own this database: nothing of theirs may stand in for what is named here.
    options: '-c search_path=pg_catalog',
  })
  // A server that ends meanwhile fails the statement; the event alone would end this process.
  client.on('error', () => {})
  await client.connect()
  try {
    await makeProject(client, installation)
    await makeMetadata(client)
  } finally {
    await client.end()
  }
}

async function makeProject(client: Client, installation: Installation): Promise<void> {
  if (await isThere(client, "SELECT FROM pg_roles WHERE rolname = 'postgres'")) return
  const password = (role: InstallationRole): string =>
    client.escapeLiteral(installation.passwords[role].reveal())
  // One transaction: the role `postgres` above stands for all of it.
  await client.query(`
    BEGIN;
    CREATE ROLE postgres LOGIN CREATEROLE CREATEDB PASSWORD ${password('postgres')};
    CREATE ROLE app LOGIN PASSWORD ${password('app')};
    CREATE ROLE ${managerRole} LOGIN CONNECTION LIMIT 10 PASSWORD ${password('latchkey_manager')};
    CREATE ROLE latchkey LOGIN PASSWORD ${password('latchkey')};
    GRANT app TO postgres WITH ADMIN OPTION;
    ALTER DATABASE ${demoDatabase} OWNER TO postgres;
    GRANT CREATE ON SCHEMA public TO app;
    ${authFunction}
    COMMIT;
  `)
}

async function makeMetadata(client: Client): Promise<void> {
  if (!(await isThere(client, `SELECT FROM pg_database WHERE datname = '${metadataDatabase}'`))) {
    await client.query(`CREATE DATABASE ${metadataDatabase} OWNER latchkey`)
  }
  // Roles of the demo project have no business in the metadata.
  await client.query(`REVOKE ALL ON DATABASE ${metadataDatabase} FROM PUBLIC`)
}

async function isThere(client: Client, sql: string): Promise<boolean> {
  return (await client.query(sql)).rowCount !== 0
}
