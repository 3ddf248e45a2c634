/** Tracks since when a machine, or the link between two machines, has had no fault. */
import type { World } from '../world.js'

/** Faults that may end before the next look. Each new one counts as a fault of all machines. */
const shortFaults = ['reset', 'heal', 'halfOpen', 'failCalls', 'unread', 'closePort'] as const

export class Calm {
  readonly #world: World
  /** By machine, and by pair of machines: when it last had a fault. */
  readonly #troubled = new Map<string, number>()
  readonly #boots = new Map<string, number>()
  /** Machines whose storage failed and does not work yet. */
  readonly #failed = new Set<string>()
  #eventsRead = 0
  #allMs = Number.NEGATIVE_INFINITY
  #short = 0
  #disturbances = 0
  #lookedMs = Number.NEGATIVE_INFINITY

  readonly #narrowIsSound: boolean

  /** @param options - `narrowIsSound`: low bandwidth is no fault */
  constructor(world: World, options: { readonly narrowIsSound?: boolean } = {}) {
    this.#world = world
    this.#narrowIsSound = options.narrowIsSound === true
  }

  /** Looks at all machines and links. Must be called often. */
  look(): void {
    const { nowMs } = this.#world
    if (nowMs === this.#lookedMs) return
    this.#lookedMs = nowMs
    this.#lookAtAll(nowMs)
    this.#readEvents()
    const ids = this.#world.members.map(({ id }) => id)
    for (const id of ids) {
      if (!this.#isSound(id)) this.#troubled.set(id, nowMs)
      // Skip the pairs when there are no cuts, because building their names would dominate the
      // cost.
      if (!this.#world.links.hasCuts) continue
      for (const other of ids) {
        if (this.#world.links.isCut(id, other)) this.#troubled.set(pair(id, other), nowMs)
      }
    }
  }

  #lookAtAll(nowMs: number): void {
    const { timeline, links } = this.#world
    const disturbances = this.#world.disturbances - (this.#narrowIsSound ? links.narrowed.inAll : 0)
    const slowLinks = links.slowed - (this.#narrowIsSound ? links.narrowed.now : 0)
    let short = 0
    for (const name of shortFaults) short += timeline.counts.get(name) ?? 0
    if (short !== this.#short || disturbances !== this.#disturbances || slowLinks > 0) {
      this.#allMs = nowMs
    }
    this.#short = short
    this.#disturbances = disturbances
  }

  #isSound(id: string): boolean {
    const machine = this.#world.machine(id)
    const { process, boots } = machine
    const isOther = this.#boots.get(id) !== boots
    this.#boots.set(id, boots)
    // A new process opens the storage again.
    if (isOther) this.#failed.delete(id)
    if (isOther || process?.started !== 'started' || process.stopping !== undefined) return false
    if (machine.hangsUntilMs > this.#world.nowMs) return false
    return !this.#failed.has(id) && !machine.clock.held && !machine.damaged && machine.isDiskSound
  }

  /**
   * Tracks by events which storages failed and do not work yet, because a single failed call may
   * leave no other trace.
   */
  #readEvents(): void {
    const { events } = this.#world
    for (const { name, node } of events.slice(this.#eventsRead)) {
      if (name === 'storageFailed') this.#failed.add(node)
      if (name === 'storageRecovered') this.#failed.delete(node)
    }
    this.#eventsRead = events.length
  }

  /** When one of two machines, or their link, last had a fault. */
  troubledMs(one: string, other: string): number {
    const keys = [one, other, pair(one, other)]
    const times = keys.map((key) => this.#troubled.get(key) ?? Number.NEGATIVE_INFINITY)
    return Math.max(this.#allMs, ...times)
  }
}

function pair(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`
}
