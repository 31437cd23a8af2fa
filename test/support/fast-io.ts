// How poolers under test use their sockets: as a process chooses itself, or by Node's streams alone
// (TEST_FAST_IO=off, which the project `streams` sets).
import { chooseTransport } from '../../pooler/relay/fast-io.ts'

export const fastIo = process.env.TEST_FAST_IO === 'off' ? 'off' : 'auto'

export const { openTransport, easeReads, whyNot } = await chooseTransport(fastIo)
