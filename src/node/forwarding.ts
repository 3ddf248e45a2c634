/**
 * Writes that arrive while a planned switchover is under way. They are held, and when the new active is known they are
 * sent to it under an id, which it applies once; so callers see a pause, not an error.
 *
 * Invariants: a held write is answered exactly once; a write that was sent and not answered ends with
 * `OUTCOME_UNKNOWN`, because it may have been applied; the receiver answers a repeated id with the first answer.
 */
import { LRUCache } from 'lru-cache'
import type { ErrorCode } from '../errors.js'
import { HotspareError, whatHappened } from '../errors.js'
import type { Clock } from '../interfaces/clock.js'
import type { AckLevel, Durability } from '../policy/class-options.js'
import type { WriteIntent } from '../replication/intent.js'
import { blobsOf, bytesOf, requirePlainValues } from '../replication/intent.js'
import { intentOf } from '../replication/intent-shape.js'
import { isPlainValue } from '../replication/plain-value.js'
import { fieldsOf, seqOf, termOfFields, textOf } from '../replication/stream/wire-fields.js'
import type { HeldWrite, Receipt, WriteOptions } from '../replication/writer-types.js'

/** Forwarded writes whose answers are remembered. */
const rememberedMax = 10_000
/** Writes that may be held during a switchover. */
export const heldWritesMax = 100_000
/** How often a forwarded write is sent again while it is not answered. */
const resendMs = 500

/** What the forwarding works with. */
export interface ForwardingContext {
  readonly clock: Clock
  readonly bootId: string
  readonly holdMs: number
  /** Longest intent that goes into a message. */
  readonly bytesMax: number
  send(to: string, type: 'forward' | 'forwarded', body: unknown): boolean
  /** Submits on this node, which is active or about to be. */
  submit(intent: WriteIntent, options: WriteOptions): Promise<Receipt>
}

interface Sent {
  readonly write: HeldWrite
  readonly to: string
  timer: unknown
}

interface Answer {
  readonly receipt?: Receipt
  readonly error?: { readonly code: string; readonly message: string }
}

export class Forwarding {
  readonly #context: ForwardingContext
  readonly #held: HeldWrite[] = []
  readonly #sent = new Map<string, Sent>()
  /** Limited by size, as a limit of entries allocates all of them at once, and few nodes need any. */
  readonly #remembered = new LRUCache<string, Promise<Answer>>({
    maxSize: rememberedMax,
    sizeCalculation: () => 1,
  })
  #nextId = 1
  #holding = false
  #deadline: unknown

  constructor(context: ForwardingContext) {
    this.#context = context
  }

  /** Whether writes are held now. */
  get holding(): boolean {
    return this.#holding
  }

  /** Begins to hold: the role was given up, and the next active is not known yet. */
  hold(writes: readonly HeldWrite[], gaveUp: HotspareError): void {
    this.#holding = true
    this.#held.push(...writes)
    const { clock, holdMs } = this.#context
    clock.clearTimer(this.#deadline)
    this.#deadline = clock.setTimer(holdMs, () => this.release(gaveUp))
  }

  /** Holds one more write. @throws `QUEUE_FULL` */
  add(
    intent: WriteIntent,
    ack: AckLevel | undefined,
    durability: Durability | undefined,
  ): Promise<Receipt> {
    if (this.#held.length >= heldWritesMax) {
      const message = `${heldWritesMax} writes wait for the end of the switchover`
      return Promise.reject(new HotspareError('QUEUE_FULL', message))
    }
    return new Promise((resolve, reject) => {
      const levels = { ack, durability } as Pick<HeldWrite, 'ack' | 'durability'>
      this.#held.push({ intent, ...levels, resolve, reject })
    })
  }

  /** The new active is known: everything held goes to it. */
  flush(active: string): void {
    if (!this.#holding) return
    this.#holding = false
    this.#context.clock.clearTimer(this.#deadline)
    for (const write of this.#held.splice(0)) this.#send(write, active)
  }

  /** This node is active again itself. */
  flushHere(): void {
    if (!this.#holding) return
    this.#holding = false
    this.#context.clock.clearTimer(this.#deadline)
    for (const { intent, ack, durability, resolve, reject } of this.#held.splice(0)) {
      this.#context.submit(intent, { ack, durability }).then(resolve, reject)
    }
  }

  /** No new active in time, or the node stops. */
  release(error: HotspareError): void {
    this.#holding = false
    this.#context.clock.clearTimer(this.#deadline)
    for (const write of this.#held.splice(0)) write.reject(error)
  }

  /** The node stops or the active that was sent to is lost: what was sent may have happened or not. */
  lost(peer: string | undefined): void {
    for (const [id, sent] of this.#sent) {
      if (peer !== undefined && sent.to !== peer) continue
      this.#context.clock.clearTimer(sent.timer)
      this.#sent.delete(id)
      const message = `${sent.to} was lost before it answered a forwarded write`
      sent.write.reject(new HotspareError('OUTCOME_UNKNOWN', message))
    }
  }

  #send(write: HeldWrite, to: string): void {
    const { bootId, bytesMax } = this.#context
    try {
      requirePlainValues(write.intent)
    } catch (error) {
      return write.reject(error)
    }
    const large = blobsOf(write.intent).length > 0 || bytesOf(write.intent, 256) > bytesMax
    if (large) {
      const message = `the role went to ${to}, and the write is too large to be forwarded`
      return write.reject(new HotspareError('NOT_ACTIVE', message, { details: { active: to } }))
    }
    const id = `${bootId}-${this.#nextId}`
    this.#nextId += 1
    this.#sent.set(id, { write, to, timer: undefined })
    this.#transmit(id)
  }

  #transmit(id: string): void {
    const sent = this.#sent.get(id)
    if (sent === undefined) return
    const { intent, ack, durability } = sent.write
    this.#context.send(sent.to, 'forward', { id, intent, ack, durability })
    sent.timer = this.#context.clock.setTimer(resendMs, () => this.#transmit(id))
  }

  /** A write that a former active forwards. */
  onForward(from: string, body: unknown): void {
    const fields = fieldsOf(body, 'forward')
    const id = textOf(fields.id, 'id', 128)
    let answer = this.#remembered.get(id)
    if (answer === undefined) {
      answer = this.#apply(fields)
      this.#remembered.set(id, answer)
    }
    void answer.then((result) => this.#context.send(from, 'forwarded', { id, ...result }))
  }

  async #apply(fields: ReturnType<typeof fieldsOf>): Promise<Answer> {
    try {
      const options: WriteOptions = {
        ack: levelOf(fields.ack, ['local', 'standby', 'all']),
        durability: levelOf(fields.durability, ['memory', 'disk']),
      }
      const receipt = await this.#context.submit(intentOf(fields.intent), options)
      return { receipt: withPlainResult(receipt) }
    } catch (error) {
      const code = error instanceof HotspareError ? error.code : 'INTERNAL'
      return { error: { code, message: whatHappened(error).slice(0, 1024) } }
    }
  }

  /** The answer to a write that this node forwarded. */
  onForwarded(body: unknown): void {
    const fields = fieldsOf(body, 'forwarded')
    const id = textOf(fields.id, 'id', 128)
    const sent = this.#sent.get(id)
    if (sent === undefined) return
    this.#context.clock.clearTimer(sent.timer)
    this.#sent.delete(id)
    if (fields.error === undefined || fields.error === null) {
      return sent.write.resolve(receiptOf(fields.receipt))
    }
    const { code, message } = fieldsOf(fields.error, 'error')
    const text = textOf(message, 'message', 4096)
    sent.write.reject(new HotspareError(textOf(code, 'code', 64) as ErrorCode, text))
  }
}

function levelOf<T extends string>(value: unknown, all: readonly T[]): T | undefined {
  return all.find((one) => one === value)
}

/** A result that is no plain data stays here: the write has happened, and its answer must arrive. */
function withPlainResult(receipt: Receipt): Receipt {
  if (isPlainValue(receipt.result)) return receipt
  const { result: _left, ...rest } = receipt
  return rest
}

function receiptOf(value: unknown): Receipt {
  const fields = fieldsOf(value, 'receipt')
  const position = fieldsOf(fields.position, 'position')
  const term = termOfFields(position.term, 'term')
  return {
    position: { term, seq: seqOf(position.seq, 'seq') },
    ack: levelOf(fields.ack, ['local', 'standby', 'all']) ?? 'local',
    durable: fields.durable === true,
    degraded: fields.degraded === true,
    ...(fields.result === undefined ? {} : { result: fields.result }),
  }
}
