import { Buffer } from 'node:buffer'

/** Stands where there are none yet, or none any more: an empty Buffer is an object of C++ all the same. */
export const noBytes: Buffer = Buffer.alloc(0)
