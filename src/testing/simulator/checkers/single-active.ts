/**
 * Promise 2: at most one active while all links are up: at no time while nothing was cut, slowed or held, and not for long
 * where it was only machines that stood still or came back.
 */
import type { NodeLogEvent } from '../../../node/events.js'
import type { NodeStatus } from '../../../node/status.js'
import type { Process } from '../machine.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

/** What a pause may cost beside the time that the options name, in milliseconds. */
const slackMs = 3_000

class SingleActive implements Checker {
  readonly name = 'single-active'
  readonly #world: World
  readonly #report: Report
  #linksMs = Number.NEGATIVE_INFINITY
  /** Since when two actives move, and which; undefined while there is one at most. */
  #two: { readonly who: string; readonly sinceMs: number } | undefined

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
    const { nowMs, slowLinks, hasCuts } = this.#world
    if (hasCuts || slowLinks > 0) this.#linksMs = nowMs
    const moving = this.#world.actives().filter((id) => !this.#world.isFrozen(id))
    if (moving.length < 2) {
      this.#two = undefined
      return
    }
    const who = moving.join(' and ')
    if (this.#two?.who !== who) this.#two = { who, sinceMs: nowMs }
    if (process.id !== moving[0]) return
    const { sinceMs } = this.#two
    // Two that a partition made stay until somebody decides.
    if (this.#linksMs > sinceMs - 4 * deadMs || nowMs - sinceMs < 2 * deadMs + slackMs) return
    this.#two = { who, sinceMs: Number.POSITIVE_INFINITY }
    this.#report(
      `${who} are active for ${Math.round(nowMs - sinceMs)} ms, although no link was cut`,
    )
  }
}

export const singleActive = (world: World, report: Report): Checker =>
  new SingleActive(world, report)
