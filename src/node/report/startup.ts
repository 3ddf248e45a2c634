/** What a start that is under way does, or waits for. */

import type { RecoveryProgress } from '../../copy/contents/types.js'
import type { Role } from '../../core/state/facts.js'
import type { Decision } from '../../core/state/types.js'
import type { Clock } from '../../interfaces/clock.js'
import type { NodeStatus } from './status.js'

/** What else is known of a node that starts. */
export interface StartupFacts {
  readonly role: Role
  readonly cause: string | undefined
  readonly restore: NodeStatus['restore']
  /** Members that are not heard, each perhaps with why. */
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

  /** What it does before it looks for the others. */
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

  /** Why the start has not ended yet; undefined when none is under way. */
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

/** Why a search goes on: whom the node does not hear, and what it decided last. */
export function searchReason(missing: readonly string[], last: Decision | undefined): string {
  const whom = missing.length === 0 ? 'all members are heard' : `not heard: ${missing.join(', ')}`
  if (last === undefined) return `looking for an active; ${whom}`
  const { rule, outcome, inputs } = last
  return `looking for an active; ${whom}; decided last: ${rule} ${outcome} ${JSON.stringify(inputs)}`
}
