// A worker that says to its primary what a test wants it to: the test puts into the environment what the
// ones in the second slot say first, or that they are deaf, and how many words the first one has for them.
import type { ToWorker } from '../../pooler/workers/worker-messages.ts'

process.on('message', (message: ToWorker) => {
  if (message.kind === 'stop') process.exit(0)
  if (message.kind === 'call' && message.id !== null) {
    process.send?.({ kind: 'answer', id: message.id, answer: { answer: 'well', fault: null } })
  }
  if (message.kind !== 'start') return
  const { env, place } = message
  const ports = { transaction: 1, session: 2, apiUrl: 'http://127.0.0.1:3' }
  process.send?.({ kind: 'ready', ports })
  const isIll = place.slot === 1
  if (isIll && env.WORDS !== undefined) process.send?.(JSON.parse(env.WORDS))
  if (isIll && env.IS_DEAF === 'true') process.kill(process.pid, 'SIGSTOP')
  if (!isIll && env.TELLS !== undefined) tell(Number(env.TELLS))
})
process.send?.({ kind: 'hello', version: 'another' })

/** So many words to all others, each when the channel has taken the one before. */
function tell(count: number): void {
  if (count === 0) return
  const call = { name: 'wrong', asked: { ref: null, source: '192.0.2.1' }, withinMs: null }
  process.send?.({ kind: 'call', id: null, call }, undefined, undefined, () => tell(count - 1))
}
