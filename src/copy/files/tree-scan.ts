/** Compares the tree with the index by size, time and inode, without reading files. */

import type { OpenStorage } from '../../interfaces/storage.js'
import type { FileStat, TreeEntry } from '../../interfaces/tree-store.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { inBatches } from '../../util/in-batches.js'
import type { FileIndex, IndexRecord } from './file-index.js'
import { type LiveDatabaseEvent, LiveDatabases } from './live-database.js'
import { claimingClass } from './path-claims.js'
import { type SkippedEvent, SkippedPaths, type SkippedReport } from './skipped-paths.js'
import { DistinctPaths, type NameRules } from './spellings.js'
import type { OutsideReport } from './types.js'

/** Files that are examined in one call; more take further calls. */
const statPaths = 512

export const nothingOutside: OutsideReport = { unknown: [], differing: [], missing: [] }

export function isNothing({ unknown, differing, missing }: OutsideReport): boolean {
  return unknown.length + differing.length + missing.length === 0
}

/** The input and the reports of a scan. */
export interface ScanOptions {
  readonly storage: OpenStorage
  readonly policy: SyncPolicy
  readonly emit: (event: SkippedEvent | LiveDatabaseEvent) => void
  /** The number of files that were compared. */
  readonly recovers?: (progress: { readonly phase: 'files'; readonly done: number }) => void
}

/**
 * Moves records to the class that the policy now gives their path, and drops those that no class
 * claims.
 */
export function followPolicy(options: ScanOptions, index: FileIndex): void {
  for (const [path, record] of [...index.entries()]) {
    const className = claimingClass(options.policy, path, 'isReplicated')
    if (className === undefined) index.drop(path)
    else if (className !== record.className) index.set(path, { ...record, className })
  }
}

/** What the tree is compared with. */
export interface ScannedCopy {
  readonly index: FileIndex
  readonly names: NameRules
}

/**
 * Finds what was done to files of synced classes while the copy was closed, and what cannot be
 * synced.
 */
export async function scanTree(
  options: ScanOptions,
  copy: ScannedCopy,
): Promise<{ outside: OutsideReport; skipped: SkippedReport }> {
  const { storage, policy, emit } = options
  const { index } = copy
  const unknown: TreeEntry[] = []
  const differing: TreeEntry[] = []
  let known = 0
  const skipped = new SkippedPaths(policy, emit)
  const databases = new LiveDatabases(policy)
  // Without an index there are no other files to conflict with; the adoption of all files checks
  // them.
  const distinct = index.size > 0 ? new DistinctPaths() : undefined
  const isApart = (path: string): boolean => {
    const others = copy.names.spelledOtherwise(path)
    const other = others?.[0] ?? (others === undefined ? undefined : distinct?.add(path))
    if (other === undefined) return true
    skipped.add(path, `its path differs from ${JSON.stringify(other)} only in case`)
    return false
  }
  const isScanned = (path: string): boolean =>
    claimingClass(policy, path, 'isScanned') !== undefined
  let seen = 0
  for await (const batch of storage.tree.scan((path, why) => skipped.add(path, why))) {
    seen += batch.length
    options.recovers?.({ phase: 'files', done: seen })
    for (const entry of batch) {
      databases.note(entry)
      const record = index.get(entry.path)
      if (record === undefined) {
        if (!isScanned(entry.path)) skipped.addUnclaimed(entry.path)
        else if (isApart(entry.path)) unknown.push(entry)
        continue
      }
      known += 1
      if (differs(record, entry) && isScanned(entry.path)) differing.push(entry)
    }
  }
  const absent = known < index.size ? await findMissing(options, index) : []
  const missing = absent.filter(isScanned)
  for (const event of await databases.find(storage)) emit(event)
  return { outside: { unknown, differing, missing }, skipped: skipped.end() }
}

/** Whether a file differs from the one in the index. */
export function differs(record: IndexRecord, entry: FileStat): boolean {
  return (
    record.size !== entry.size || record.mtimeMs !== entry.mtimeMs || record.inode !== entry.inode
  )
}

async function findMissing(options: ScanOptions, index: FileIndex): Promise<string[]> {
  const paths = index.paths()
  const missing: string[] = []
  for (const batch of inBatches(paths, statPaths)) {
    const stats = await options.storage.tree.stat(batch)
    for (const [position, path] of batch.entries()) {
      if (stats[position] === undefined) missing.push(path)
    }
  }
  return missing
}
