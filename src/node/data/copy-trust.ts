import { kindOf } from '../../policy/kinds/table.js'
import type { NodeOptions } from '../contract/options.js'

/** How far the core may rely on this node's knowledge of its copy. */
export class CopyTrust {
  #inSyncKnown = false
  #forgot: boolean

  /** @param forgot - as {@link CopyTrust.forgot} */
  constructor(forgot: boolean) {
    this.#forgot = forgot
  }

  /** Whether a takeover may rely on the in-sync set of this node's journal. */
  get inSyncKnown(): boolean {
    return this.#inSyncKnown
  }

  /** Whether the previous process may have acknowledged from memory what the disk lacks. */
  get forgot(): boolean {
    return this.#forgot
  }

  /** Records that the copy has everything that the active has, or that this node is the active. */
  isWhole(): void {
    this.#inSyncKnown = true
    this.#forgot = false
  }

  /** Records that the in-sync set may have changed without this node. */
  doubtInSync(): void {
    this.#inSyncKnown = false
  }
}

/** Whether a standby acknowledges changes before they are on its disk. */
export function acknowledgesFromMemory({ policy }: NodeOptions): boolean {
  return Object.values(policy.classes).some(
    (declaration) => kindOf(declaration).levels(declaration)?.durability === 'memory',
  )
}
