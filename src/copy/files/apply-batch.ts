/**
 * Operations for one call of the tree. Operations that a later one of the batch makes superfluous
 * are left out, and contiguous patches are merged.
 */
import type { AppliedStat } from '../../interfaces/tree-store.js'
import type { FileOperation, Overlay, PendingOperation } from './overlay.js'

/** One operation for the tree. */
interface Slot {
  /** The newest pending operation in it, whose change becomes the version of the path. */
  last: PendingOperation
  /** The bytes of the patches that continue the first one. */
  more: Uint8Array[]
  end: number
  isDropped: boolean
  readonly first: PendingOperation
}

export class ApplyBatch {
  readonly #overlay: Overlay
  readonly #slots: Slot[] = []
  readonly #lastOf = new Map<string, Slot>()
  /** All operations, in order. */
  readonly all: PendingOperation[] = []
  bytes = 0
  lastSeq = 0

  constructor(overlay: Overlay) {
    this.#overlay = overlay
  }

  get length(): number {
    return this.all.length
  }

  add(pending: PendingOperation): void {
    const { operation } = pending
    this.all.push(pending)
    this.lastSeq = pending.seq
    const bytes = 'bytes' in operation ? operation.bytes.length : 0
    this.bytes += bytes
    const end = operation.kind === 'patch' ? operation.offset + bytes : -1
    // Most paths have only one operation, so there is nothing to look for.
    const path = this.#overlay.get(operation.path)
    const isAlone = path !== undefined && path.operations.length - path.head <= 1
    const before = isAlone ? undefined : this.#lastOf.get(operation.path)
    if (before !== undefined && merge(before, pending, end)) return
    if (before !== undefined && isAbsolute(operation)) this.#dropAll(operation.path)
    const slot = { last: pending, more: [], end, isDropped: false, first: pending }
    this.#slots.push(slot)
    if (!isAlone) this.#lastOf.set(operation.path, slot)
  }

  #dropAll(path: string): void {
    for (const slot of this.#slots) if (slot.first.operation.path === path) slot.isDropped = true
  }

  /** The operations for the tree. */
  operations(): FileOperation[] {
    const operations: FileOperation[] = []
    for (const slot of this.#slots) {
      if (slot.isDropped || slot.last.found !== undefined) continue
      const { more } = slot
      const first = slot.first.operation
      if (more.length === 0 || first.kind !== 'patch') operations.push(first)
      else operations.push({ ...first, bytes: Buffer.concat([first.bytes, ...more]) })
    }
    return operations
  }

  /** Calls back with the result of each operation. */
  forEachResult(
    stats: readonly (AppliedStat | undefined)[],
    found: (first: PendingOperation, last: PendingOperation, stat: AppliedStat | undefined) => void,
  ): void {
    let at = 0
    for (const slot of this.#slots) {
      if (slot.isDropped) continue
      if (slot.last.found !== undefined) {
        found(slot.first, slot.last, slot.last.found ?? undefined)
        continue
      }
      found(slot.first, slot.last, stats[at])
      at += 1
    }
  }
}

/** Whether the result does not depend on earlier content. */
export function isAbsolute(operation: FileOperation): boolean {
  return operation.kind === 'put' || operation.kind === 'install' || operation.kind === 'remove'
}

/** Merges a patch into the previous one that it continues. */
function merge(slot: Slot, pending: PendingOperation, end: number): boolean {
  const { operation } = pending
  if (operation.kind !== 'patch' || slot.end !== operation.offset) return false
  slot.more.push(operation.bytes)
  slot.end = end
  slot.last = pending
  return true
}
