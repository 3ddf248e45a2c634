/**
 * Holds writes during a planned switchover and sends them to the new active, each with an id, so
 * that it is applied once. Callers see a pause instead of an error.
 *
 * Invariants: a held write is answered exactly once, and leaves no stored content behind if it does
 * not happen; a write that was sent without an answer ends with `OUTCOME_UNKNOWN`, because it may
 * have been applied; the numbers of unanswered writes lie within a window that is smaller than what
 * a receiver remembers.
 */

import type { WriteIntent } from '../../changes/intent.js'
import { blobsOf, bytesOf, requirePlainValues } from '../../changes/intent.js'
import type { ErrorCode } from '../../error-codes.js'
import { errorCodes } from '../../error-codes.js'
import { HotspareError } from '../../errors.js'
import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import type { AckLevel, Durability } from '../../policy/class-options.js'
import { fromPeer, wordOf } from '../../protocol/fields.js'
import type { HeldWrite, Receipt, WriteOptions } from '../../replication/write/types.js'
import { aborted, onAbort } from '../../util/abort.js'

/** Writes that may be held during a switchover; further ones are refused with `QUEUE_FULL`. */
export const heldWritesMax = 100_000
/**
 * Bytes of writes that may be held during a switchover, at least one write; further ones are
 * refused with `QUEUE_FULL`.
 */
export const heldBytesMax: number = 64 * 1024 * 1024
/** The range of numbers of unanswered writes; further writes wait. */
export const windowWrites = 1_000
/** The interval at which an unanswered write is sent again. */
const resendMs = 500
/** The shortest silence after which a target is given up, long enough for several repetitions. */
const silentMsMin: number = 4 * resendMs
/** The assumed size of a value that is neither bytes nor a string. */
const valueBytes = 256
/** Longest id of a forwarded write, in UTF-16 units; a longer one is `PROTOCOL_VIOLATION`. */
export const forwardIdLengthMax = 128

const read = fromPeer('the answer to a forwarded write')

/** The parts that the forwarding uses. */
export interface ForwardingContext {
  readonly clock: Clock
  readonly bootId: string
  /** How long writes are held for a new active, and how long that active may be silent. */
  readonly holdMs: number
  /** Bytes of the longest intent that fits into a message. */
  readonly bytesMax: number
  /** @throws `FRAME_TOO_LARGE` */
  send(to: string, type: 'forward', body: unknown): boolean
  /** Whether a link is open and its queue is below the limit. */
  hasRoom(to: string): boolean
  /**
   * Submits a write on this node, which is active again. The stored content of the intent passes to
   * it.
   */
  submit(intent: WriteIntent, options: WriteOptions): Promise<Receipt>
  /** Removes the stored content of an intent that will not happen here. */
  discard(intent: WriteIntent): void
}

interface Held {
  readonly write: HeldWrite
  readonly bytes: number
  unlisten(): void
}

interface Sent {
  readonly write: HeldWrite
  readonly to: string
  readonly number: number
  sentMs: number
  unlisten(): void
}

export class Forwarding {
  readonly #context: ForwardingContext
  /** Held writes in the order of their arrival. */
  readonly #held = new Set<Held>()
  #heldBytes = 0
  /** Sent writes by id, in the order of their numbers. */
  readonly #sent = new Map<string, Sent>()
  #nextNumber = 1
  #holding = false
  #deadline: unknown
  /** The node that held writes go to, once the new active is known. */
  #target: string | undefined
  /** When each target was last heard, or was chosen. */
  readonly #heardMs = new Map<string, number>()
  #timer: TimerHandle

  constructor(context: ForwardingContext) {
    this.#context = context
  }

  /** Whether writes are being held. */
  get holding(): boolean {
    return this.#holding
  }

  /** Starts to hold writes: the role was given up, and the next active is not known yet. */
  hold(writes: readonly HeldWrite[], gaveUp: HotspareError): void {
    this.#holding = true
    this.#target = undefined
    for (const write of writes) this.#take(write)
    const { clock, holdMs } = this.#context
    clock.clearTimer(this.#deadline)
    this.#deadline = clock.setTimer(holdMs, () => this.release(gaveUp))
  }

  /**
   * Holds another write.
   *
   * @throws `QUEUE_FULL`, `ABORTED`
   */
  add(intent: WriteIntent, { ack, durability, signal }: WriteOptions): Promise<Receipt> {
    const error = this.#whyNotHeld(bytesOf(intent, valueBytes), signal)
    if (error !== undefined) {
      this.#context.discard(intent)
      return Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      this.#take({ intent, ack, durability, signal, resolve, reject })
    })
  }

  #whyNotHeld(bytes: number, signal: AbortSignal | undefined): HotspareError | undefined {
    if (signal?.aborted === true) return aborted(signal)
    if (this.#held.size >= heldWritesMax) {
      const message = `${heldWritesMax} writes wait for the end of the switchover`
      return new HotspareError('QUEUE_FULL', message)
    }
    if (this.#held.size === 0 || this.#heldBytes + bytes <= heldBytesMax) return undefined
    const message = `writes of ${heldBytesMax} bytes wait for the end of the switchover`
    return new HotspareError('QUEUE_FULL', message)
  }

  /** Sends all held writes to the new active. */
  flush(active: string): void {
    if (!this.#holding && this.#held.size === 0) return
    this.#endHold()
    if (this.#target !== active) this.#heardMs.set(active, this.#context.clock.nowMs())
    this.#target = active
    this.#pump()
  }

  /** Submits all held writes here, because this node is active again. */
  flushHere(): void {
    this.#endHold()
    this.#target = undefined
    for (const held of [...this.#held]) {
      this.#leave(held)
      const { intent, ack, durability, signal, resolve, reject } = held.write
      this.#context.submit(intent, { ack, durability, signal }).then(resolve, reject)
    }
  }

  /** Ends all held writes, because no new active appeared in time or the node stops. */
  release(error: HotspareError): void {
    this.#endHold()
    this.#target = undefined
    for (const held of [...this.#held]) this.#refuse(held, error)
  }

  /**
   * Ends writes for a member that is lost or silent, or all when the node stops. Sent ones may have
   * happened, held ones have not.
   */
  lost(peer: string | undefined): void {
    for (const [id, sent] of [...this.#sent]) {
      if (peer !== undefined && sent.to !== peer) continue
      this.#endUnknown(id, sent, `${sent.to} was lost before it answered a forwarded write`)
    }
    const target = this.#target
    if (target !== undefined && (peer === undefined || peer === target)) {
      const details = { active: target }
      const message = `the role went to ${target}, which was lost before the write was sent to it`
      this.release(new HotspareError('NOT_ACTIVE', message, { details }))
    }
    if (peer === undefined) this.#heardMs.clear()
    else this.#heardMs.delete(peer)
    this.#schedule()
  }

  /**
   * Handles the answer to a forwarded write.
   *
   * @throws `PROTOCOL_VIOLATION`
   */
  onForwarded(from: string, body: unknown): void {
    const fields = read.fields(body, 'forwarded')
    const id = read.text(fields.id, 'id', forwardIdLengthMax)
    const sent = this.#sent.get(id)
    // Only the target may answer.
    if (sent === undefined || sent.to !== from) return
    this.#heardMs.set(from, this.#context.clock.nowMs())
    // The target is working on it.
    if (fields.waits === true) return
    const isDone = fields.error === undefined || fields.error === null
    const answer = isDone ? receiptOf(fields.receipt) : errorOf(fields.error)
    sent.unlisten()
    this.#sent.delete(id)
    if (answer instanceof HotspareError) sent.write.reject(answer)
    else sent.write.resolve(answer)
    this.#pump()
  }

  #endHold(): void {
    this.#holding = false
    this.#context.clock.clearTimer(this.#deadline)
  }

  #take(write: HeldWrite): void {
    const unlisten = onAbort(write.signal, (by) => this.#refuse(held, aborted(by)))
    const held: Held = { write, bytes: bytesOf(write.intent, valueBytes), unlisten }
    this.#held.add(held)
    this.#heldBytes += held.bytes
  }

  #leave(held: Held): void {
    held.unlisten()
    this.#held.delete(held)
    this.#heldBytes -= held.bytes
  }

  /** Ends a write that was never sent. */
  #refuse(held: Held, error: unknown): void {
    this.#leave(held)
    this.#context.discard(held.write.intent)
    held.write.reject(error)
  }

  /**
   * Sends writes as far as the window and the queue of the link allow; the rest follows with
   * answers and time.
   */
  #pump(): void {
    const to = this.#target
    if (to !== undefined) {
      for (const held of this.#held) {
        if (!this.#isWindowOpen() || !this.#context.hasRoom(to)) break
        this.#begin(held, to)
      }
    }
    this.#schedule()
  }

  #schedule(): void {
    const { clock } = this.#context
    if (this.#sent.size > 0 || (this.#target !== undefined && this.#held.size > 0)) {
      this.#timer ??= clock.setTimer(resendMs, () => this.#look())
    } else {
      clock.clearTimer(this.#timer)
      this.#timer = undefined
    }
  }

  #isWindowOpen(): boolean {
    const [oldest] = this.#sent.values()
    return oldest === undefined || this.#nextNumber - oldest.number < windowWrites
  }

  #begin(held: Held, to: string): void {
    const { write } = held
    try {
      requirePlainValues(write.intent)
      const isLarge = bytesOf(write.intent, valueBytes) > this.#context.bytesMax
      if (isLarge || blobsOf(write.intent).length > 0) throw tooLarge(to)
      const { bootId } = this.#context
      const id = `${bootId}-${this.#nextNumber}`
      this.#transmit(id, write, to)
      this.#leave(held)
      const unlisten = onAbort(write.signal, () => this.#giveUp(id, sent))
      const sentMs = this.#context.clock.nowMs()
      const sent: Sent = { write, to, number: this.#nextNumber, sentMs, unlisten }
      this.#sent.set(id, sent)
      this.#nextNumber += 1
    } catch (error) {
      // The length of a message is known only once it is encoded, before anything of it is sent.
      const isLong = HotspareError.is(error, 'FRAME_TOO_LARGE')
      this.#refuse(held, isLong ? tooLarge(to, error) : error)
    }
  }

  #transmit(id: string, { intent, ack, durability }: HeldWrite, to: string): void {
    this.#context.send(to, 'forward', { id, intent, ack, durability })
  }

  /** The caller aborts a write that was sent. */
  #giveUp(id: string, sent: Sent): void {
    const message = `the call was given up before ${sent.to} answered the forwarded write`
    this.#endUnknown(id, sent, message, sent.write.signal?.reason)
    this.#pump()
  }

  #endUnknown(id: string, sent: Sent, message: string, cause?: unknown): void {
    sent.unlisten()
    this.#sent.delete(id)
    sent.write.reject(new HotspareError('OUTCOME_UNKNOWN', message, { cause }))
  }

  /** Repeats unanswered writes, and gives up targets that are silent. */
  #look(): void {
    this.#timer = undefined
    const { clock, holdMs } = this.#context
    const nowMs = clock.nowMs()
    for (const [peer, heardMs] of [...this.#heardMs]) {
      if (nowMs - heardMs >= Math.max(holdMs, silentMsMin)) this.lost(peer)
    }
    for (const [id, sent] of this.#sent) {
      if (nowMs - sent.sentMs < resendMs || !this.#context.hasRoom(sent.to)) continue
      sent.sentMs = nowMs
      try {
        this.#transmit(id, sent.write, sent.to)
      } catch (error) {
        // It fitted before, so the member has returned with a smaller limit.
        this.#endUnknown(id, sent, `${sent.to} cannot be asked again`, error)
      }
    }
    this.#pump()
  }
}

function tooLarge(to: string, cause?: unknown): HotspareError {
  const message = `the role went to ${to}, and the write is too large to be forwarded`
  return new HotspareError('NOT_ACTIVE', message, { details: { active: to }, cause })
}

export function ackLevelOf(value: unknown): AckLevel | undefined {
  return wordOf(value, ['local', 'standby', 'all'])
}

export function durabilityOf(value: unknown): Durability | undefined {
  return wordOf(value, ['memory', 'disk'])
}

function errorOf(value: unknown): HotspareError {
  const fields = read.fields(value, 'error')
  const code = read.text(fields.code, 'code', 64)
  const message = read.text(fields.message, 'message', 4096)
  // The meaning of a code of a later version is unknown, so it is unknown whether the write has
  // happened.
  const isKnown = Object.hasOwn(errorCodes, code)
  return new HotspareError(isKnown ? (code as ErrorCode) : 'OUTCOME_UNKNOWN', message)
}

function receiptOf(value: unknown): Receipt {
  const fields = read.fields(value, 'receipt')
  const position = read.fields(fields.position, 'position')
  const term = read.term(position.term, 'term')
  return {
    position: { term, seq: read.count(position.seq, 'seq') },
    ack: ackLevelOf(fields.ack) ?? 'local',
    durable: fields.durable === true,
    degraded: fields.degraded === true,
    ...(fields.result === undefined ? {} : { result: fields.result }),
  }
}
