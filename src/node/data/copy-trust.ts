import { kindOf } from '../../policy/kinds/table.js'
import type { NodeOptions } from '../contract/options.js'

/** How far what this node knows of its copy holds, as it tells the core. */
export class CopyTrust {
  #inSyncKnown = false
  #forgot: boolean

  /** @param forgot - as {@link CopyTrust.forgot} */
  constructor(forgot: boolean) {
    this.#forgot = forgot
  }

  /** Whether the in-sync set of the own journal may be trusted for a takeover. */
  get inSyncKnown(): boolean {
    return this.#inSyncKnown
  }

  /** The process before this one may have acknowledged from memory what the disk does not hold. */
  get forgot(): boolean {
    return this.#forgot
  }

  /** The copy has all that the active has, or this node is the active. */
  isWhole(): void {
    this.#inSyncKnown = true
    this.#forgot = false
  }

  /** The set may have changed since without this node. */
  doubtInSync(): void {
    this.#inSyncKnown = false
  }
}

/** Whether a standby acknowledges what it received before that is on its disk. */
export function acknowledgesFromMemory({ policy }: NodeOptions): boolean {
  return Object.values(policy.classes).some(
    (declaration) => kindOf(declaration).levels(declaration)?.durability === 'memory',
  )
}
