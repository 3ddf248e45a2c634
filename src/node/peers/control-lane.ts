/**
 * A control connection to a peer, dialled by either side, which carries the messages of the core.
 *
 * Invariants: the queue for a peer that does not read is bounded, because messages of the core are
 * dropped above the limit, and the core repeats everything that matters. A history may be long, so
 * it is sent only when it has changed; both ends remember the last one that was sent on this
 * connection.
 */
import type { CoreMessage } from '../../core/state/messages.js'
import type { History } from '../../history/position.js'
import type { Channel } from '../../protocol/channel.js'
import type { Envelope, NewEnvelope } from '../../protocol/envelope.js'
import { envelope } from '../../protocol/envelope.js'
import { coreMessageOf, historyIn } from './core-messages.js'

/**
 * Bytes queued on one connection above which its sender waits, or messages of the core are dropped.
 */
export const sendBytesHigh: number = 512 * 1024
/**
 * Bytes queued on one connection above which forwarded writes wait. The rest is reserved for the
 * core, so that no load makes a live node look dead.
 */
export const forwardBytesHigh: number = sendBytesHigh / 2
/** The capability of a node that remembers the history of its peer. */
export const historyOnce = 'historyOnce'

export class ControlLane {
  readonly channel: Channel
  /** The history that was last sent. */
  #sent: History | undefined
  /** The history that was last received. */
  #said: History | undefined
  readonly #remembers: boolean

  constructor(channel: Channel) {
    this.channel = channel
    this.#remembers = channel.identity.features.includes(historyOnce)
  }

  /** The boot id of the process at the other end. */
  get bootId(): string {
    return this.channel.identity.bootId
  }

  hasRoom(): boolean {
    return this.channel.queuedBytes < forwardBytesHigh
  }

  /** Sends any message. */
  send(parts: NewEnvelope): void {
    this.channel.sendMessage(envelope(parts))
  }

  /** Sends a message of the core. Answers false when it was dropped. */
  sendCore(parts: Omit<NewEnvelope, 'body'>, message: CoreMessage): boolean {
    if (this.channel.queuedBytes >= sendBytesHigh) return false
    this.send({ ...parts, body: this.#shortened(message) })
    if ('view' in message) this.#sent = message.view.copy.history
    return true
  }

  #shortened(message: CoreMessage): unknown {
    if (!('view' in message) || !this.#remembers) return message
    const { view } = message
    if (view.copy.history !== this.#sent) return message
    return { ...message, view: { ...view, copy: { ...view.copy, history: undefined } } }
  }

  /**
   * Reads a message of the core; undefined for one that only a later version understands.
   *
   * @throws `PROTOCOL_VIOLATION`
   */
  readCore({ body }: Envelope): CoreMessage | undefined {
    this.#said = historyIn(body) ?? this.#said
    return coreMessageOf(body, this.#said)
  }
}
