/**
 * Which entries count as held by whom. It turns the cumulative answers of followers into
 * thresholds: all entries up to an ordinal are held at a level. It knows no clock, no network and
 * no waiting caller.
 *
 * Invariants:
 * - a member's answers count from the moment when the entry with its addition is durable on the
 *   active and on every other member of the set, until the entry with its removal is appended;
 * - `all` includes every member that some journal may still name: added and not yet counting, and
 *   removed while the removal is not durable on the active;
 * - on disk means on the active's disk too;
 * - the ordinals of one follower never go back, except that a new stream of it starts from nothing.
 */
import { assertInvariant } from '../../errors.js'

/** Where a member of the in-sync set stands. */
export type MembershipState = 'adding' | 'counting' | 'removing'

interface Membership {
  readonly id: string
  state: MembershipState
  /** The entry that added it, or that removed it. */
  ordinal: number
  received: number
  durable: number
}

/** Entries up to these ordinals are held at each level; 0 stands for none. */
export interface Thresholds {
  localDisk: number
  standbyMemory: number
  standbyDisk: number
  allMemory: number
  allDisk: number
}

/** Members whose answers begin to count, and members that left for good, since the last look. */
export interface MembershipNews {
  readonly counting: readonly string[]
  readonly left: readonly string[]
}

const noNews: MembershipNews = { counting: [], left: [] }

/** The thresholds of acknowledgement, kept up to date by every answer. */
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

  /** Members whose answers count. */
  get counting(): number {
    return this.#countingCount
  }

  /** Members that are in the set, or will be as soon as their addition is durable. */
  get remaining(): number {
    let count = 0
    for (const member of this.#members) if (member.state !== 'removing') count += 1
    return count
  }

  /** The state of a member; undefined when it is not in the set. */
  stateOf(id: string): MembershipState | undefined {
    return this.#find(id)?.state
  }

  /** What the slowest remaining member has on its disk; infinite without members. */
  get leastDurable(): number {
    let least = Number.POSITIVE_INFINITY
    for (const { state, durable } of this.#members) {
      if (state !== 'removing' && durable < least) least = durable
    }
    return least
  }

  /** Whether any journal may still name a member. */
  get isEmpty(): boolean {
    return this.#members.length === 0
  }

  /** The members of the set as the next entry would name it. */
  members(): string[] {
    return this.#members.filter((member) => member.state !== 'removing').map(({ id }) => id)
  }

  /** The members whose answers count. */
  countingMembers(): string[] {
    return this.#members.filter((member) => member.state === 'counting').map(({ id }) => id)
  }

  /** The entry with this ordinal adds the member, which holds what `received` and `durable` say. */
  add(id: string, ordinal: number, received: number, durable: number): MembershipNews {
    const known = this.#find(id)
    assertInvariant(
      known === undefined || known.state === 'removing',
      `${id} is added to the in-sync set twice`,
    )
    if (known === undefined) {
      this.#members.push({ id, state: 'adding', ordinal, received, durable })
    } else {
      // Its removal is older than its addition, so that both are durable together.
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

  /** A member holds everything up to these ordinals; what is durable there was received, too. */
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

  /** A new stream of a member begins: what it had received and not made durable may be gone. */
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

  /** Lets removals and additions take effect whose entries are durable where they must be. */
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

  /** Whether every journal that must know of an addition does. */
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
