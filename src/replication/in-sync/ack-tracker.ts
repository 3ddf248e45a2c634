/**
 * Turns the cumulative acknowledgements of followers into thresholds: for each acknowledgement
 * level, the ordinal up to which all entries have reached that level. It knows no clock, no network
 * and no waiting caller.
 *
 * Invariants:
 * - a member's acknowledgements count from the moment when the entry that adds it is durable on the
 *   active and on every other member of the set, until the entry that removes it is appended;
 * - the `all` thresholds include every member that some journal may still name: one that was added
 *   and does not count yet, and one whose removal is not durable on the active yet;
 * - a `Disk` threshold never exceeds what is durable on the active itself;
 * - the ordinals of one follower never decrease, except that they start from 0 with a new stream.
 */
import { assertInvariant } from '../../errors.js'

/** The state of a member of the in-sync set. */
export type MembershipState = 'adding' | 'counting' | 'removing'

interface Membership {
  readonly id: string
  state: MembershipState
  /** The entry that adds it, or the one that removes it. */
  ordinal: number
  received: number
  durable: number
}

/** The ordinals up to which all entries have reached each level; 0 means no entry. */
export interface Thresholds {
  localDisk: number
  standbyMemory: number
  standbyDisk: number
  allMemory: number
  allDisk: number
}

/** Changes of the set that took effect: members that begin to count, and members that are out. */
export interface MembershipNews {
  readonly counting: readonly string[]
  readonly left: readonly string[]
}

const noNews: MembershipNews = { counting: [], left: [] }

/** The acknowledgement thresholds, updated by every acknowledgement. */
export class AckTracker {
  readonly thresholds: Thresholds = {
    localDisk: 0,
    standbyMemory: 0,
    standbyDisk: 0,
    allMemory: 0,
    allDisk: 0,
  }
  // An array: a set has one to four members, and this is walked for every answer.
  readonly #members: Membership[] = []
  #countingCount = 0

  /** The number of members whose acknowledgements count. */
  get counting(): number {
    return this.#countingCount
  }

  /** The state of a member; undefined when it is not in the set. */
  stateOf(id: string): MembershipState | undefined {
    return this.#find(id)?.state
  }

  /** The last entry that every remaining member has on its disk; infinite without members. */
  get leastDurable(): number {
    let least = Number.POSITIVE_INFINITY
    for (const { state, durable } of this.#members) {
      if (state !== 'removing' && durable < least) least = durable
    }
    return least
  }

  /** Whether no journal names a member any more. */
  get isEmpty(): boolean {
    return this.#members.length === 0
  }

  /** The members of the set as the next entry would name it. */
  members(): string[] {
    return this.#members.filter((member) => member.state !== 'removing').map(({ id }) => id)
  }

  /** The members whose acknowledgements count. */
  countingMembers(): string[] {
    return this.#members.filter((member) => member.state === 'counting').map(({ id }) => id)
  }

  /**
   * The entry with this ordinal adds the member, which has acknowledged `received` and `durable`.
   */
  add(id: string, ordinal: number, received: number, durable: number): MembershipNews {
    const known = this.#find(id)
    assertInvariant(
      known === undefined || known.state === 'removing',
      `${id} is added to the in-sync set twice`,
    )
    if (known === undefined) {
      this.#members.push({ id, state: 'adding', ordinal, received, durable })
    } else {
      // The removal is the older entry, so it is durable when the addition is.
      known.state = 'adding'
      known.ordinal = ordinal
      known.received = received
      known.durable = durable
    }
    return this.#settle()
  }

  /** The entry with this ordinal removes the member. */
  remove(id: string, ordinal: number): MembershipNews {
    const member = this.#find(id)
    assertInvariant(
      member !== undefined && member.state !== 'removing',
      `${id} is removed from an in-sync set that it is not in`,
    )
    if (member.state === 'counting') this.#countingCount -= 1
    member.state = 'removing'
    member.ordinal = ordinal
    return this.#settle()
  }

  /** A member acknowledged everything up to these ordinals; what is durable counts as received. */
  answer(id: string, received: number, durable: number): MembershipNews {
    const member = this.#find(id)
    if (member === undefined) return noNews
    member.received = Math.max(member.received, received, durable)
    if (durable <= member.durable) {
      this.#compute()
      return noNews
    }
    member.durable = durable
    return this.#settle()
  }

  /**
   * A new stream of a member begins. Nothing counts until its first acknowledgement, because
   * entries that it had received and not made durable may be lost.
   */
  restart(id: string): void {
    const member = this.#find(id)
    if (member === undefined) return
    member.received = 0
    member.durable = 0
    this.#compute()
  }

  /** Everything up to this ordinal is durable on the active. */
  local(durable: number): MembershipNews {
    if (durable <= this.thresholds.localDisk) return noNews
    this.thresholds.localDisk = durable
    return this.#settle()
  }

  #find(id: string): Membership | undefined {
    for (const member of this.#members) if (member.id === id) return member
    return undefined
  }

  /**
   * Applies the removals and additions whose entries are durable on every node that must know them.
   */
  #settle(): MembershipNews {
    const local = this.thresholds.localDisk
    let left: string[] | undefined
    let counting: string[] | undefined
    if (this.#countingCount < this.#members.length) {
      for (let at = this.#members.length - 1; at >= 0; at -= 1) {
        const member = this.#members[at]
        if (member === undefined || member.state !== 'removing' || member.ordinal > local) continue
        this.#members.splice(at, 1)
        left = left ?? []
        left.push(member.id)
      }
      for (const member of this.#members) {
        if (member.state !== 'adding' || !this.#isKnown(member)) continue
        member.state = 'counting'
        this.#countingCount += 1
        counting = counting ?? []
        counting.push(member.id)
      }
    }
    this.#compute()
    if (left === undefined && counting === undefined) return noNews
    return { counting: counting ?? [], left: left ?? [] }
  }

  /** Whether the addition is durable on the active and on every other member. */
  #isKnown(added: Membership): boolean {
    if (added.ordinal > this.thresholds.localDisk) return false
    for (const other of this.#members) {
      if (other !== added && other.durable < added.ordinal) return false
    }
    return true
  }

  #compute(): void {
    const thresholds = this.thresholds
    if (this.#countingCount === 0) {
      thresholds.standbyMemory = 0
      thresholds.standbyDisk = 0
      thresholds.allMemory = 0
      thresholds.allDisk = 0
      return
    }
    let mostReceived = 0
    let mostDurable = 0
    let leastReceived = Number.POSITIVE_INFINITY
    let leastDurable = Number.POSITIVE_INFINITY
    for (const { state, received, durable } of this.#members) {
      if (state === 'counting') {
        if (received > mostReceived) mostReceived = received
        if (durable > mostDurable) mostDurable = durable
      }
      if (received < leastReceived) leastReceived = received
      if (durable < leastDurable) leastDurable = durable
    }
    const local = thresholds.localDisk
    thresholds.standbyMemory = mostReceived
    thresholds.standbyDisk = Math.min(local, mostDurable)
    thresholds.allMemory = leastReceived
    thresholds.allDisk = Math.min(local, leastDurable)
  }
}
