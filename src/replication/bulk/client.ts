/**
 * The requesting side of a bulk lane: numbered requests, several in flight, answers in any order.
 */
import { HotspareError } from '../../errors.js'
import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import type { Channel } from '../../protocol/channel.js'
import { frameTypes, isKnownFrame } from '../frame-types.js'
import type { BulkRequest } from './messages.js'
import { frameRoom, readAnswer } from './messages.js'

/** An answer. Its bytes are valid only until `read` of {@link BulkClient.request} returns. */
export interface BulkAnswer {
  readonly body: unknown
  readonly bytes: Uint8Array
}

interface Waiter {
  take(answer: BulkAnswer): void
  reject(error: unknown): void
}

export class BulkClient {
  readonly #channel: Channel
  readonly #waiters = new Map<number, Waiter>()
  #nextId = 1
  #ended: HotspareError | undefined
  #stopWatching: () => void = () => undefined
  /** Bytes received in answers, for the report of a rejoin. */
  bytesReceived = 0
  /** Bytes available for lists and content together in one request or answer. */
  readonly room: number

  constructor(channel: Channel) {
    this.#channel = channel
    this.room = frameRoom(channel)
    channel.onFrame((type, payload) => this.#receive(type, payload), true)
    // Answers are frames, so a message can only come from a later version and is ignored.
    channel.onMessage(() => undefined)
    channel.onClose(() => this.#end(new HotspareError('CONNECTION_CLOSED', 'the bulk lane ended')))
  }

  /**
   * Sends a request and resolves with what `read` makes of the answer. `read` is called when the
   * answer arrives, and must copy or pass on the bytes that it needs before it returns.
   *
   * @throws `CONNECTION_CLOSED`; `FRAME_TOO_LARGE`; `SNAPSHOT_FAILED` when the source has no
   *   snapshot; else `RESTORE_FAILED` with the source's error
   */
  request<Result>(
    request: BulkRequest,
    read: (answer: BulkAnswer) => Result | Promise<Result>,
  ): Promise<Result> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    const id = this.#nextId
    this.#nextId += 1
    return new Promise((resolve, reject) => {
      const whenAnswered = (answer: BulkAnswer): void => {
        try {
          resolve(read(answer))
        } catch (error) {
          reject(error)
        }
      }
      // Send first: if sending throws, no waiter is left behind, and no answer can arrive in this
      // turn.
      this.#channel.sendMessage({ id, ...request })
      this.#waiters.set(id, { take: whenAnswered, reject })
    })
  }

  /**
   * Ends the lane when an answer is owed and nothing arrives for `silentMs`: the source may be
   * alive with a disk that hangs. Called once.
   */
  endWhenSilent(clock: Clock, silentMs: number): void {
    let received = -1
    let timer: TimerHandle | undefined
    this.#stopWatching = () => clock.clearTimer(timer)
    const look = (): void => {
      if (this.#ended !== undefined) return
      const silent = this.waits && this.bytesReceived === received
      received = this.waits ? this.bytesReceived : -1
      if (silent) {
        const what = `the source answered nothing for ${silentMs} ms; look at its disk`
        this.#end(new HotspareError('RESTORE_FAILED', what))
        this.#channel.destroy()
      } else timer = clock.setTimer(silentMs, look)
    }
    look()
  }

  /** Whether an answer is outstanding. */
  get waits(): boolean {
    return this.#waiters.size > 0
  }

  close(): void {
    this.#end(new HotspareError('CONNECTION_CLOSED', 'the bulk lane was closed'))
    this.#channel.close()
  }

  #receive(type: number, payload: Uint8Array): void {
    if (!isKnownFrame(type)) return
    if (type !== frameTypes.answer) return this.#violation('unexpected frame')
    try {
      const { head, bytes } = readAnswer(payload)
      const waiter = this.#waiters.get(head.id)
      if (waiter === undefined) return this.#violation('answer to no request')
      this.#waiters.delete(head.id)
      this.bytesReceived += payload.length
      if (head.error === undefined) waiter.take({ body: head.body, bytes })
      else waiter.reject(refusal(head.error))
    } catch (error) {
      this.#violation(String(error))
    }
  }

  #violation(why: string): void {
    this.#end(new HotspareError('PROTOCOL_VIOLATION', `bulk lane: ${why}`))
    this.#channel.destroy()
  }

  #end(error: HotspareError): void {
    if (this.#ended !== undefined) return
    this.#ended = error
    this.#stopWatching()
    for (const waiter of this.#waiters.values()) waiter.reject(error)
    this.#waiters.clear()
  }
}

function refusal({ code, message }: { code: string; message: string }): HotspareError {
  if (code === 'SNAPSHOT_FAILED') return new HotspareError(code, message)
  return new HotspareError('RESTORE_FAILED', `${code}: ${message}`)
}
