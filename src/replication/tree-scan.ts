/** Compares the tree with the index, by size, time and inode, without reading a file. */
import type { FileStat, TreeEntry } from '../interfaces/storage.js'
import { syncedClassOf } from './copy-policy.js'
import type { LocalCopyOptions, OutsideReport } from './copy-types.js'
import type { FileIndex, IndexRecord } from './file-index.js'

/** Paths that an event names; the report has all. */
const namedPathsMax = 100

const statPaths = 512

export const nothingOutside: OutsideReport = { unknown: [], differing: [], missing: [] }

export function isNothing({ unknown, differing, missing }: OutsideReport): boolean {
  return unknown.length + differing.length + missing.length === 0
}

/** Records of paths that the policy gives to another class follow it; those that none claims are dropped. */
export function followPolicy(options: LocalCopyOptions, index: FileIndex): void {
  for (const [path, record] of [...index.entries()]) {
    const className = syncedClassOf(options.policy, path)
    if (className === undefined) index.drop(path)
    else if (className !== record.className) index.set(path, { ...record, className })
  }
}

/** What was done to files of synced classes while the copy was closed. */
export async function scanTree(
  options: LocalCopyOptions,
  index: FileIndex,
): Promise<OutsideReport> {
  const { storage, policy, emit } = options
  const unknown: TreeEntry[] = []
  const differing: TreeEntry[] = []
  let known = 0
  const skipped = (path: string, why: string): void => emit({ name: 'skippedPath', path, why })
  for await (const batch of storage.tree.scan(skipped)) {
    for (const entry of batch) {
      const record = index.get(entry.path)
      if (record === undefined) {
        if (syncedClassOf(policy, entry.path) !== undefined) unknown.push(entry)
        continue
      }
      known += 1
      if (differs(record, entry)) differing.push(entry)
    }
  }
  const missing = known < index.size ? await findMissing(options, index) : []
  reportChanged(options, [...unknown, ...differing].map(({ path }) => path).concat(missing))
  return { unknown, differing, missing }
}

/** Whether a file is not the one that the index knows. */
export function differs(record: IndexRecord, entry: FileStat): boolean {
  return (
    record.size !== entry.size || record.mtimeMs !== entry.mtimeMs || record.inode !== entry.inode
  )
}

async function findMissing(options: LocalCopyOptions, index: FileIndex): Promise<string[]> {
  const paths = index.paths()
  const missing: string[] = []
  for (let at = 0; at < paths.length; at += statPaths) {
    const batch = paths.slice(at, at + statPaths)
    const stats = await options.storage.tree.stat(batch)
    for (const [position, path] of batch.entries()) {
      if (stats[position] === undefined) missing.push(path)
    }
  }
  return missing
}

/** Tells which files somebody else changed. */
export function reportChanged(options: LocalCopyOptions, paths: readonly string[]): void {
  if (paths.length === 0) return
  const named = paths.slice(0, namedPathsMax)
  options.emit({ name: 'outsideChange', paths: named, count: paths.length })
}
