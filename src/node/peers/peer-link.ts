/**
 * What stands between this node and one member: the connection that this node dialled, and the one
 * that the member dialled. Both speak on either, so that a member behind a closed port, or with a
 * wrong address in the lists of others, is heard all the same.
 *
 * Invariants: the own connection is the one to speak on as long as it stands and carries something;
 * an accepted one counts only while it leads to the same process as the own one, because an address
 * that answers is the better witness of which process has an id; what arrives by different
 * connections is taken in the order in which it was said.
 */

import type { LinkCause } from '../../core/state/types.js'
import type { HotspareError } from '../../errors.js'
import type { TimerHandle } from '../../interfaces/clock.js'
import type { Envelope } from '../../protocol/envelope.js'
import type { ControlLane } from './control-lane.js'

/** Who is told of connections to a member. */
export interface LinkReports {
  linkUp(peer: string, bootId: string, accepted: boolean): void
  linkDown(peer: string, cause: LinkCause, accepted: boolean): void
  /** No connection to the process that was spoken to stands any more. */
  lost(peer: string): void
}

export class PeerLink {
  readonly id: string
  readonly address: string
  readonly #reports: LinkReports
  /**
   * How long to wait after the next failed dial: little after a loss, since a refused dial proves
   * that the process is gone.
   */
  retryMs: number
  upSinceMs = 0
  timer: TimerHandle
  /** Of the last dial, while no own connection stands. */
  failure: HotspareError | undefined
  /** Since when it speaks over its own connection and cannot be dialled. */
  undialledSinceMs: number | undefined
  /**
   * Nothing comes to pass over the own connection, so that the accepted one is spoken on until
   * there is a new one.
   */
  isDoubted = false
  #dialled: ControlLane | undefined
  #accepted: ControlLane | undefined
  #isAcceptedTold = false
  /** The process that is spoken to. */
  #process: string | undefined
  /** The process that spoke last, and the number of its last message. */
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

  /** The connection to speak on; undefined when there is none. */
  get speaking(): ControlLane | undefined {
    const accepted = this.#isAcceptedTold ? this.#accepted : undefined
    return this.isDoubted ? (accepted ?? this.#dialled) : (this.#dialled ?? accepted)
  }

  get stands(): boolean {
    return this.#dialled !== undefined || this.#accepted !== undefined
  }

  /** The own connection stands, in place of an older one. */
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

  /** The own connection ended; false when another one stands in its place already. */
  dialEnded(lane: ControlLane, cause: LinkCause): boolean {
    if (this.#dialled !== lane) return false
    this.#dialled = undefined
    this.isDoubted = false
    this.#reports.linkDown(this.id, cause, false)
    this.#tellAccepted()
    this.#noteProcess()
    return true
  }

  /** The member dialled; true when another process than the one at its address did. */
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
   * The own dial failed; true when the member has been heard for so long, over its own dial, that
   * somebody must mend it.
   */
  dialFailed(error: HotspareError, nowMs: number, forMs: number): boolean {
    this.failure = error
    if (this.#accepted === undefined) this.undialledSinceMs = undefined
    else this.undialledSinceMs ??= nowMs
    return this.undialledSinceMs !== undefined && nowMs - this.undialledSinceMs >= forMs
  }

  /**
   * Whether a message of the core is later than all that its process said before, on whatever
   * connection.
   */
  isNext({ id }: Envelope, bootId: string): boolean {
    const number = Number(id.slice(id.lastIndexOf('-') + 1))
    if (!Number.isSafeInteger(number)) return true
    if (this.#heard?.bootId === bootId && number <= this.#heard.number) return false
    this.#heard = { bootId, number }
    return true
  }

  /** Ends both connections in order. */
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
