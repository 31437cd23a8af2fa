// In front of a program that goes by a test's clock (`node --import`): its wall clock is the machine's own
// and what SteeredClock has written. Read at each look, so that a move holds from the next one on.
import { readFileSync } from 'node:fs'

const machineMs = Date.now
const file = process.env.TEST_CLOCK_FILE ?? ''

Date.now = () => machineMs() + Number(readFileSync(file, 'utf8'))
