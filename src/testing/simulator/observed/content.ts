/** The contents that files must have after a history of writes, and the contents that they have. */
import { differs } from '../../../copy/files/tree-scan.js'
import type { Machine } from '../machine/machine.js'
import type { WriteAction } from '../record/writes.js'
import type { World } from '../world.js'

/** Whether the simulated policy syncs a path. */
export function isSyncedPath(path: string): boolean {
  return /^(data|quick)\//.test(path) && !path.endsWith('.own')
}

/** The synced files on a machine's disk. */
export function contentOf({ storage }: Machine): Map<string, Uint8Array> {
  const content = new Map<string, Uint8Array>()
  for (const path of storage.outside.list()) {
    if (!isSyncedPath(path)) continue
    const bytes = storage.outside.read(path)
    if (bytes !== undefined) content.set(path, bytes)
  }
  return content
}

/**
 * Files that were changed outside of the library on a node that could not adopt the change, and
 * that reported it (because its vault is full). The node refuses to read them, and the other nodes
 * have the version of the history.
 */
export function keptOutside(world: World, { id, process, storage }: Machine): Set<string> {
  const kept = new Set<string>()
  const { copy } = process ?? {}
  if (copy === undefined) return kept
  for (const { node, name, event } of world.events) {
    const told = event as { readonly outcome?: string; readonly paths?: readonly string[] }
    if (node !== id || name !== 'outsideChange' || told.outcome !== 'kept') continue
    for (const path of told.paths ?? []) {
      const record = copy.index.get(path)
      const stat = storage.outside.stat(path)
      const isOther = record === undefined || stat === undefined || differs(record, stat)
      if (isOther || copy.outside.isMixed(path)) kept.add(path)
    }
  }
  return kept
}

/** A file's bytes after an action; undefined when there is no file. */
export function after(
  action: WriteAction,
  path: string,
  before: Uint8Array | undefined,
): Uint8Array | undefined {
  switch (action.kind) {
    case 'put':
      return action.bytes
    case 'append':
      return overlaid(before, before?.length ?? 0, action.bytes)
    case 'patch':
      return overlaid(before, action.offset, action.bytes)
    case 'truncate':
      return resized(before, action.size)
    case 'remove':
      return undefined
    case 'transaction':
      return action.puts.find((put) => put.path === path)?.bytes ?? before
    case 'update':
      return before
  }
}

/** Whether the content after an action is independent of the content before. */
export function replaces(action: WriteAction): boolean {
  return action.kind === 'put' || action.kind === 'remove' || action.kind === 'transaction'
}

function overlaid(before: Uint8Array | undefined, offset: number, bytes: Uint8Array): Uint8Array {
  const result = resized(before, Math.max(before?.length ?? 0, offset + bytes.length))
  result.set(bytes, offset)
  return result
}

function resized(before: Uint8Array | undefined, size: number): Uint8Array {
  const result = new Uint8Array(size)
  result.set((before ?? new Uint8Array()).subarray(0, size))
  return result
}
