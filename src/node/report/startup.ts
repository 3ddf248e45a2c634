/** Describes what a start in progress does or waits for. */

import type { RecoveryProgress } from '../../copy/contents/types.js'
import type { Role } from '../../core/state/facts.js'
import type { Decision } from '../../core/state/types.js'
import type { Clock } from '../../interfaces/clock.js'
import type { NodeStatus } from './status.js'

/** Further facts about a starting node. */
export interface StartupFacts {
  readonly role: Role
  readonly cause: string | undefined
  readonly restore: NodeStatus['restore']
  /** Members that are not heard, each with the reason if known. */
  readonly missing: readonly string[]
}

export class Startup {
  readonly #clock: Clock
  #sinceMs: number | undefined
  #doing: string | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  begin(): void {
    this.#sinceMs = this.#clock.nowMs()
    this.does('opening the storage')
  }

  /** Sets what the node does before it looks for the others. */
  does(what: string): void {
    this.#doing = what
  }

  recovers({ phase, done }: RecoveryProgress): void {
    this.does(
      phase === 'journal'
        ? `carrying out what the journal holds since the last checkpoint: ${done} entries so far`
        : `comparing the files with what is known of them: ${done} so far`,
    )
  }

  end(): void {
    this.#sinceMs = undefined
  }

  /** Why the start has not ended yet; undefined when no start is in progress. */
  says(facts: StartupFacts): string | undefined {
    if (this.#sinceMs === undefined) return undefined
    const forMs = Math.round(this.#clock.nowMs() - this.#sinceMs)
    return `${this.#what(facts)} (for ${forMs} ms)`
  }

  #what({ role, cause, restore, missing }: StartupFacts): string {
    if (role === 'stopped') return this.#doing ?? 'starting'
    if (cause !== undefined) return cause
    if (restore !== undefined) {
      const { source, phase, files, filesTotal, bytes, bytesTotal } = restore
      return `restoring from ${source}, ${phase}: ${files} of ${filesTotal} files, ${bytes} of ${bytesTotal} bytes`
    }
    if (role === 'restoring') return 'waiting for the active to say what is to be restored'
    return searchReason(missing, undefined)
  }
}

/** Why a search continues: the members that are not heard, and the last decision. */
export function searchReason(missing: readonly string[], last: Decision | undefined): string {
  const whom = missing.length === 0 ? 'all members are heard' : `not heard: ${missing.join(', ')}`
  if (last === undefined) return `looking for an active; ${whom}`
  const { rule, outcome, inputs } = last
  return `looking for an active; ${whom}; decided last: ${rule} ${outcome} ${JSON.stringify(inputs)}`
}
