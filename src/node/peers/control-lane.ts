/**
 * One control connection to a peer, whoever dialled it: what the core says goes out on it and comes
 * in.
 *
 * Invariants: what is queued for a peer that does not read is bounded, since messages of the core
 * are dropped above the limit, as a network would, and the core says everything that matters again;
 * a history, which may be long, is sent when it has changed and after that left out, so both ends
 * remember the last one that went over this connection.
 */
import type { CoreMessage } from '../../core/state/messages.js'
import type { History } from '../../history/position.js'
import type { Channel } from '../../protocol/channel.js'
import type { Envelope, NewEnvelope } from '../../protocol/envelope.js'
import { envelope } from '../../protocol/envelope.js'
import { coreMessageOf, historyIn } from './core-messages.js'

/**
 * Bytes that may be queued on one connection before its sender waits, or the core's messages are
 * dropped.
 */
export const sendBytesHigh: number = 512 * 1024
/**
 * Bytes queued on one connection above which forwarded writes wait. The rest is left to the core,
 * so that no load makes a live node look dead.
 */
export const forwardBytesHigh: number = sendBytesHigh / 2
/** What a node says that remembers the history of its peer. */
export const historyOnce = 'historyOnce'

export class ControlLane {
  readonly channel: Channel
  /** The history that went out last. */
  #sent: History | undefined
  /** The history that came in last. */
  #said: History | undefined
  readonly #remembers: boolean

  constructor(channel: Channel) {
    this.channel = channel
    this.#remembers = channel.identity.features.includes(historyOnce)
  }

  /** The process at the other end. */
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

  /** Sends a message of the core; false when it was dropped. */
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
   * Reads a message of the core; undefined for one that only a later version understands. @throws
   * `PROTOCOL_VIOLATION`
   */
  readCore({ body }: Envelope): CoreMessage | undefined {
    this.#said = historyIn(body) ?? this.#said
    return coreMessageOf(body, this.#said)
  }
}
