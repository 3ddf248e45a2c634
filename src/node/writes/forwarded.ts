/**
 * Applies the writes that a former active forwards to this node, the new active. Each is applied
 * once, however often it is sent.
 *
 * Invariant: an id is known from its arrival until `rememberedMax` later writes were answered. The
 * sender's window is smaller, so no id returns after it was forgotten.
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
 * Forwarded writes whose answers are remembered, enough for ten senders; beyond it the oldest are
 * dropped.
 */
const rememberedMax = 10_000
/**
 * Forwarded writes that are being applied. Further ones are ignored, and their senders repeat them.
 */
const applyingMax = 10_000
/** Characters of an error that are sent back; the rest is left out. */
const errorTextMax = 1024

const read = fromPeer('a forwarded write')

/** The parts that the receiving side uses. */
export interface ForwardedContext {
  /** @throws `FRAME_TOO_LARGE` */
  send(to: string, type: 'forwarded', body: unknown): boolean
  /** Submits a write on this node, which is active or about to be. */
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
   * Limited by size, because a limit of entries would allocate all of them, and few nodes need any.
   */
  readonly #answered = new LRUCache<string, Answer>({
    maxSize: rememberedMax,
    sizeCalculation: () => 1,
  })

  constructor(context: ForwardedContext) {
    this.#context = context
  }

  /**
   * Handles a forwarded write.
   *
   * @throws `PROTOCOL_VIOLATION`
   */
  onForward(from: string, body: unknown): void {
    const fields = read.fields(body, 'forward')
    const id = read.text(fields.id, 'id', forwardIdLengthMax)
    // Ids are kept apart by sender, so that no member can answer for the writes of another.
    const key = `${from} ${id}`
    const answer = this.#answered.get(key)
    if (answer !== undefined) return this.#answer(from, id, answer)
    if (this.#applying.has(key)) return this.#send(from, { id, waits: true })
    // The sender repeats it, because it gets no answer.
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

/**
 * Leaves out a result that cannot be encoded, because the write has happened and its answer must
 * arrive.
 */
function withoutResult(receipt: Receipt): Receipt {
  const { result: _left, ...rest } = receipt
  return rest
}
