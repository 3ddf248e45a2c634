/**
 * The control connections to one member: the one that this node dialled, and the one that the
 * member dialled. Both nodes send on either, so that a member behind a closed port, or with a wrong
 * address in the other lists, is heard as well.
 *
 * Invariants: messages are sent on the dialled connection as long as it is open and carries
 * something. An accepted connection counts only while it leads to the same process as the dialled
 * one, because the configured address decides which process has an id. Messages of several
 * connections are taken in the order in which they were sent.
 */

import type { LinkCause } from '../../core/state/types.js'
import type { HotspareError } from '../../errors.js'
import type { TimerHandle } from '../../interfaces/clock.js'
import type { Envelope } from '../../protocol/envelope.js'
import type { ControlLane } from './control-lane.js'

/** Receives reports about the connections to a member. */
export interface LinkReports {
  linkUp(peer: string, bootId: string, accepted: boolean): void
  linkDown(peer: string, cause: LinkCause, accepted: boolean): void
  /** The last connection to the process that was in use has ended. */
  lost(peer: string): void
}

export class PeerLink {
  readonly id: string
  readonly address: string
  readonly #reports: LinkReports
  /**
   * The delay after the next failed dial. It is short after a loss, because a refused dial proves
   * that the process has ended.
   */
  retryMs: number
  upSinceMs = 0
  timer: TimerHandle
  /** The error of the last dial, while no dialled connection is open. */
  failure: HotspareError | undefined
  /** Since when it is connected only by its own dial. */
  undialledSinceMs: number | undefined
  /**
   * Whether the dialled connection seems useless, so that messages are sent on the accepted one
   * until there is a new one.
   */
  isDoubted = false
  #dialled: ControlLane | undefined
  #accepted: ControlLane | undefined
  #isAcceptedTold = false
  /** The process that messages are sent to. */
  #process: string | undefined
  /** The process whose message came last, and the number of that message. */
  #heard: { readonly bootId: string; readonly number: number } | undefined

  constructor(id: string, address: string, retryMs: number, reports: LinkReports) {
    this.id = id
    this.address = address
    this.retryMs = retryMs
    this.#reports = reports
  }

  get dialled(): ControlLane | undefined {
    return this.#dialled
  }

  /** The connection to send on; undefined when there is none. */
  get speaking(): ControlLane | undefined {
    const accepted = this.#isAcceptedTold ? this.#accepted : undefined
    return this.isDoubted ? (accepted ?? this.#dialled) : (this.#dialled ?? accepted)
  }

  get stands(): boolean {
    return this.#dialled !== undefined || this.#accepted !== undefined
  }

  /** A dialled connection is open; it replaces an older one. */
  dial(lane: ControlLane, nowMs: number, retryMs: number): void {
    this.#dialled = lane
    this.isDoubted = false
    this.upSinceMs = nowMs
    this.failure = undefined
    this.undialledSinceMs = undefined
    this.retryMs = retryMs
    if (this.#accepted?.bootId !== lane.bootId) this.#dropAccepted('error')
    this.#reports.linkUp(this.id, lane.bootId, false)
    this.#tellAccepted()
    this.#noteProcess()
  }

  /** A dialled connection has ended. Answers false when another one has replaced it. */
  dialEnded(lane: ControlLane, cause: LinkCause): boolean {
    if (this.#dialled !== lane) return false
    this.#dialled = undefined
    this.isDoubted = false
    this.#reports.linkDown(this.id, cause, false)
    this.#tellAccepted()
    this.#noteProcess()
    return true
  }

  /**
   * The member has dialled. Answers true when it is another process than the one at its address.
   */
  accept(lane: ControlLane): boolean {
    if (this.#accepted?.bootId !== lane.bootId) this.#dropAccepted('error')
    this.#accepted = lane
    this.#tellAccepted()
    this.#noteProcess()
    return this.#dialled !== undefined && this.#dialled.bootId !== lane.bootId
  }

  acceptEnded(lane: ControlLane, cause: LinkCause): void {
    if (this.#accepted !== lane) return
    this.#dropAccepted(cause)
    this.#noteProcess()
  }

  /**
   * A dial failed. Answers true when the member has been connected only by its own dial for so long
   * that an operator has to look at it.
   */
  dialFailed(error: HotspareError, nowMs: number, forMs: number): boolean {
    this.failure = error
    if (this.#accepted === undefined) this.undialledSinceMs = undefined
    else this.undialledSinceMs ??= nowMs
    return this.undialledSinceMs !== undefined && nowMs - this.undialledSinceMs >= forMs
  }

  /**
   * Whether a message of the core is newer than all earlier ones of its process, on any connection.
   */
  isNext({ id }: Envelope, bootId: string): boolean {
    const number = Number(id.slice(id.lastIndexOf('-') + 1))
    if (!Number.isSafeInteger(number)) return true
    if (this.#heard?.bootId === bootId && number <= this.#heard.number) return false
    this.#heard = { bootId, number }
    return true
  }

  /** Closes both connections in order. */
  close(): void {
    this.#dialled?.channel.close()
    this.#accepted?.channel.close()
    this.#dialled = undefined
    this.#accepted = undefined
  }

  #tellAccepted(): void {
    const accepted = this.#accepted
    if (accepted === undefined || this.#isAcceptedTold) return
    if (this.#dialled !== undefined && this.#dialled.bootId !== accepted.bootId) return
    this.#isAcceptedTold = true
    this.#reports.linkUp(this.id, accepted.bootId, true)
  }

  #dropAccepted(cause: LinkCause): void {
    this.#accepted = undefined
    if (!this.#isAcceptedTold) return
    this.#isAcceptedTold = false
    this.#reports.linkDown(this.id, cause, true)
  }

  #noteProcess(): void {
    const process = this.speaking?.bootId
    const before = this.#process
    this.#process = process
    if (before !== undefined && before !== process) this.#reports.lost(this.id)
  }
}
