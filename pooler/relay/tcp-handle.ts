// What Node's TCP sockets are made of, below their streams: typed by hand, because Node promises none
// of it. Everything that touches these names is here and in handle-transport.ts, and a self-test at
// start (fast-io.ts) decides whether they are used at all.
import type { Socket } from 'node:net'

/** Of Node's src/stream_base.cc. Calls that return a number return 0 or a negative errno. */
export interface TcpHandle {
  reading: boolean
  readonly writeQueueSize: number
  /** Called with `this` set to the handle; what it returns, if anything, is read into from then on. */
  onread: (this: TcpHandle, bytes: ArrayBuffer | undefined) => Buffer | undefined
  readStart(): number
  readStop(): number
  /** Reads go there; the memory must outlive the reading. */
  useUserBuffer(memory: Buffer): void
  /** Tries at once; what the kernel does not take stays in `bytes`, which must live and not change. */
  writeBuffer(request: WriteRequest, bytes: Buffer): number
  [transportOf]?: HandleOwner
}

export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void
  handle: TcpHandle | null
  /** What the kernel is still to take from. */
  buffer: Buffer | null
}

export interface HandleOwner {
  onHandleRead(byteCount: number): Buffer | undefined
  onHandleWritten(request: WriteRequest, status: number): void
}

/** The property under which a handle knows its transport. */
export const transportOf: unique symbol = Symbol('transport')

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest
  readonly streamBaseState: Int32Array
  readonly kReadBytesOrError: number
  readonly kLastWriteWasAsync: number
}

type ProcessWithBinding = NodeJS.Process & { binding?(name: string): unknown }

/** Null where this Node has no such thing, or does not let us have it (its permission model). */
function findStreamBinding(): StreamBinding | null {
  try {
    const found = (process as ProcessWithBinding).binding?.('stream_wrap') as Partial<StreamBinding>
    const { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = found
    if (typeof WriteWrap !== 'function' || !(streamBaseState instanceof Int32Array)) return null
    if (kReadBytesOrError === undefined || kLastWriteWasAsync === undefined) return null
    return { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync }
  } catch {
    return null
  }
}

/** null: see findStreamBinding. */
export const streamBinding = findStreamBinding()
const state = streamBinding?.streamBaseState ?? new Int32Array(0)
const readCount = streamBinding?.kReadBytesOrError ?? 0
const wasAsync = streamBinding?.kLastWriteWasAsync ?? 0

/** Of the read that `onread` is told of: so many bytes, or a negative errno. */
export const lastReadCount = (): number => state[readCount] as number

/** What the kernel did not take of the latest write, it takes later. */
export const wasLastWriteAsync = (): boolean => state[wasAsync] !== 0

/** The handle of a plain TCP socket; null for any other, or one that lacks what we use. */
export function tcpHandleOf(socket: Socket): TcpHandle | null {
  const handle = (socket as Socket & { _handle?: Partial<TcpHandle> | null })._handle
  if (handle == null) return null
  if (handle.constructor === knownClass) return handle as TcpHandle
  if (handle.constructor?.name !== 'TCP') return null
  const { onread, readStart, readStop, useUserBuffer, writeBuffer, writeQueueSize } = handle
  const calls = [onread, readStart, readStop, useUserBuffer, writeBuffer]
  if (calls.some((call) => typeof call !== 'function')) return null
  if (typeof writeQueueSize !== 'number' || typeof handle.reading !== 'boolean') return null
  knownClass = handle.constructor
  return handle as TcpHandle
}

/** Of handles that have been looked at and have all that we use. */
let knownClass: unknown = null
