// Edge of the command line: arguments, environment, standard output and exit codes. What it can do is
// cli/commands.ts.
import { runCommandLine } from './cli/command-line.ts'

// Whoever reads has had enough, as with `| head`.
process.stdout.on('error', () => process.exit(0))

process.exitCode = await runCommandLine(process.argv.slice(2), {
  env: process.env,
  isTerminal: process.stdout.isTTY === true,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  ignoreInterrupts: () => void process.on('SIGINT', () => {}),
})
