/**
 * Writes that a former active forwards to this node, which is active by now: each is applied once,
 * however often it comes.
 *
 * Invariant: an id is known from its arrival on, for as long as its write is being applied and then
 * until `rememberedMax` others were answered. The sender's window is smaller than that, so none is
 * repeated later.
 */
import { LRUCache } from 'lru-cache'
import { intentOf } from '../../changes/decode-intent.js'
import type { WriteIntent } from '../../changes/intent.js'
import { isPlainValue } from '../../changes/plain-value.js'
import { HotspareError, whatHappened } from '../../errors.js'
import { type Fields, fromPeer } from '../../protocol/fields.js'
import type { Receipt, WriteOptions } from '../../replication/write/types.js'
import { ackLevelOf, durabilityOf, forwardIdLengthMax } from './forwarding.js'

/**
 * Forwarded writes whose answers are remembered: those of ten senders. The oldest are forgotten
 * beyond it.
 */
const rememberedMax = 10_000
/**
 * Forwarded writes that are being applied; further ones are ignored, and their senders send them
 * again.
 */
const applyingMax = 10_000
/** Characters of an error that go back to the sender; the rest is cut off. */
const errorTextMax = 1024

const read = fromPeer('a forwarded write')

/** What the receiving side works with. */
export interface ForwardedContext {
  /** @throws `FRAME_TOO_LARGE` */
  send(to: string, type: 'forwarded', body: unknown): boolean
  /** Submits on this node, which is active or about to be. */
  submit(intent: WriteIntent, options: WriteOptions): Promise<Receipt>
}

interface Answer {
  readonly receipt?: Receipt
  readonly error?: { readonly code: string; readonly message: string }
}

export class ForwardedWrites {
  readonly #context: ForwardedContext
  readonly #applying = new Set<string>()
  /**
   * Limited by size, as a limit of entries allocates all of them at once, and few nodes need any.
   */
  readonly #answered = new LRUCache<string, Answer>({
    maxSize: rememberedMax,
    sizeCalculation: () => 1,
  })

  constructor(context: ForwardedContext) {
    this.#context = context
  }

  /** A write that a former active forwards. @throws `PROTOCOL_VIOLATION` */
  onForward(from: string, body: unknown): void {
    const fields = read.fields(body, 'forward')
    const id = read.text(fields.id, 'id', forwardIdLengthMax)
    // No member answers for the writes of another.
    const key = `${from} ${id}`
    const answer = this.#answered.get(key)
    if (answer !== undefined) return this.#answer(from, id, answer)
    if (this.#applying.has(key)) return this.#send(from, { id, waits: true })
    // It comes again, since it is not answered.
    if (this.#applying.size >= applyingMax) return
    this.#applying.add(key)
    void this.#apply(fields).then((result) => {
      this.#applying.delete(key)
      this.#answered.set(key, result)
      this.#answer(from, id, result)
    })
  }

  async #apply(fields: Fields): Promise<Answer> {
    try {
      const options: WriteOptions = {
        ack: ackLevelOf(fields.ack),
        durability: durabilityOf(fields.durability),
      }
      const receipt = await this.#context.submit(intentOf(fields.intent), options)
      return { receipt: isPlainValue(receipt.result) ? receipt : withoutResult(receipt) }
    } catch (error) {
      const code = error instanceof HotspareError ? error.code : 'INTERNAL'
      return { error: { code, message: whatHappened(error).slice(0, errorTextMax) } }
    }
  }

  #answer(to: string, id: string, answer: Answer): void {
    try {
      this.#context.send(to, 'forwarded', { id, ...answer })
    } catch {
      if (answer.receipt !== undefined)
        this.#send(to, { id, receipt: withoutResult(answer.receipt) })
    }
  }

  #send(
    to: string,
    body: { readonly id: string; readonly waits?: true; readonly receipt?: Receipt },
  ): void {
    this.#context.send(to, 'forwarded', body)
  }
}

/** A result that cannot travel stays here: the write has happened, and its answer must arrive. */
function withoutResult(receipt: Receipt): Receipt {
  const { result: _left, ...rest } = receipt
  return rest
}
