/**
 * Collects what blocks a node: what it tries in vain, as its parts report it, and what it waits
 * for.
 */
import type { Role } from '../../core/state/facts.js'
import type { NodeOptions } from '../contract/options.js'
import type { Tried } from '../contract/tried.js'
import type { CauseStatus, Causes } from '../roles/causes.js'
import type { Driver } from '../roles/driver.js'
import { searchReason } from './startup.js'

export interface WaitFacts {
  readonly options: Pick<NodeOptions, 'clock' | 'deadMs' | 'discoveryMs'>
  readonly role: Role
  readonly roleSinceMs: number
  readonly driver: Driver | undefined
  /** What it waits for although nothing has failed. */
  readonly waiting: readonly CauseStatus[]
  /** Why the last dial of a member failed. */
  unreachable(id: string): string | undefined
}

/** All causes, the most important one first. */
export function presentCauses(causes: Pick<Causes, 'list'>, facts: WaitFacts): CauseStatus[] {
  return causes.list(waitsOf(facts))
}

function waitsOf(facts: WaitFacts): CauseStatus[] {
  const { options, role, roleSinceMs, driver, waiting, unreachable } = facts
  // The end of holding is not reported; a later phase of the round shows it.
  const phase = driver?.state.round?.phase
  const isPast = phase === 'fetching' || phase === 'gate' || phase === 'opening'
  const waits = waiting.filter(({ what }) => what !== 'hold' || !isPast)
  const add = (what: Tried, reason: string | undefined, forMs = 0): void => {
    if (reason === undefined) return
    waits.push({ what, code: undefined, reason, attempts: 0, forMs: Math.round(forMs) })
  }
  add('gate', driver?.atGate)
  const searchMs = options.clock.nowMs() - roleSinceMs
  // A longer search is being blocked by something.
  if (role === 'discovering' && searchMs > options.discoveryMs + options.deadMs)
    add('search', searchReason(unheard(facts), driver?.explain().at(-1)), searchMs)
  // The source of the restore is heard over its own connection, and cannot be dialled.
  const source = role === 'restoring' ? driver?.state.followed?.id : undefined
  if (source !== undefined) add('dial', unreachable(source))
  return waits
}

/** The members that are not heard, each with the reason why it cannot be reached, if known. */
export function unheard({ options, driver, unreachable }: WaitFacts): string[] {
  const { deadMs, clock } = options
  const missing: string[] = []
  for (const { id, heardAtMs } of driver?.state.peers.values() ?? []) {
    if (heardAtMs !== undefined && clock.nowMs() - heardAtMs < deadMs) continue
    const why = unreachable(id)
    missing.push(why === undefined ? id : `${id} (${why})`)
  }
  return missing
}
