// What `npm start` prints: lines to paste.
import type { DemoLogin, DemoProject } from './demo-project.ts'

export interface StartPlaces {
  readonly host: string
  readonly transactionPort: number
  readonly sessionPort: number
  readonly apiUrl: string
  readonly certificatePath: string
}

export function startPage(project: DemoProject, places: StartPlaces): string {
  const { app, postgres, token } = project
  const tokenText = token?.reveal() ?? '<token>'
  const withToken = 'sslmode=require&options=-c%20jit%3Don'
  const lines = [
    '',
    `Latchkey is ready. Project ${project.ref}, database ${project.database}.`,
    '',
    '  With a password (transaction port):',
    `    psql "${uri(project, places, app, app.password.reveal(), places.transactionPort, 'sslmode=require')}"`,
    '',
    `  With a token of ${project.owner.email}, as role ${postgres.role}:`,
    `    psql "${uri(project, places, postgres, tokenText, places.transactionPort, withToken)}"`,
    '',
    '  With a password (session port):',
    `    psql "${uri(project, places, app, app.password.reveal(), places.sessionPort, 'sslmode=require')}"`,
    '',
    `  Dashboard: ${places.apiUrl}/ (sign in with the token)`,
    `  API: ${places.apiUrl}/docs`,
    `  Certificate, for sslmode=verify-full: sslrootcert=${places.certificatePath}`,
    ...tokenLines(project),
    '  Ctrl-C drains and stops everything that was started.',
    '',
  ]
  return `${lines.join('\n')}\n`
}

function tokenLines({ token }: DemoProject): string[] {
  if (token === null)
    return ['  The token was shown at the first start; for a new one: npm run token']
  return [`  Token (shown this once): ${token.reveal()}`]
}

function uri(
  { ref, database }: DemoProject,
  { host }: StartPlaces,
  { role }: DemoLogin,
  password: string,
  port: number,
  query: string,
): string {
  return `postgres://${role}.${ref}:${password}@${host}:${port}/${database}?${query}`
}
