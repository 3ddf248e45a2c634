/**
 * Promise 2: at most one active while all links work: never two while nothing was cut, slowed or
 * frozen, and only briefly two after machines were frozen or restarted.
 */
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { NodeStatus } from '../../../node/report/status.js'
import type { Process } from '../machine/machine.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

/** The tolerance for a freeze beyond the times in the options, in milliseconds. */
const slackMs = 3_000

class SingleActive implements Checker {
  readonly name = 'single-active'
  readonly #world: World
  readonly #report: Report
  #linksMs = Number.NEGATIVE_INFINITY
  /** By pair of nodes: since when both are active and running. */
  readonly #sinceMs = new Map<string, number>()
  readonly #reported = new Set<string>()

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
  }

  event(_process: Process, { name }: NodeLogEvent): void {
    if (name !== 'role' || this.#world.disturbances > 0) return
    const actives = this.#world.actives()
    if (actives.length > 1)
      this.#report(`${actives.join(' and ')} are active at the same time, with all links up`)
  }

  observe(process: Process, { options: { deadMs } }: NodeStatus): void {
    const { nowMs, links } = this.#world
    if (links.hasCuts || links.slowed > 0) this.#linksMs = nowMs
    const moving = this.#world.actives().filter((id) => !this.#world.pauses.isFrozen(id))
    if (moving.length < 2) {
      this.#sinceMs.clear()
      return
    }
    const pairs = pairsOf(moving)
    for (const pair of this.#sinceMs.keys()) if (!pairs.has(pair)) this.#sinceMs.delete(pair)
    for (const [pair, first] of pairs) {
      const sinceMs = this.#sinceMs.get(pair) ?? nowMs
      this.#sinceMs.set(pair, sinceMs)
      if (process.id !== first || this.#reported.has(pair)) continue
      // Two actives that a partition caused may stay until an operator decides.
      if (this.#linksMs > sinceMs - 4 * deadMs || nowMs - sinceMs < 2 * deadMs + slackMs) continue
      this.#reported.add(pair)
      const forMs = Math.round(nowMs - sinceMs)
      this.#report(`${pair} are active for ${forMs} ms, although no link was cut`)
    }
  }
}

/** All pairs of these nodes: the name of the pair in reports, and its first node. */
function pairsOf(ids: readonly string[]): Map<string, string> {
  const pairs = ids.flatMap((id, at) =>
    ids.slice(at + 1).map((other) => [`${id} and ${other}`, id] as const),
  )
  return new Map(pairs)
}

export const singleActive = (world: World, report: Report): Checker =>
  new SingleActive(world, report)
