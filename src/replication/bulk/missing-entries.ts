/** Fetches the journal entries that a candidate lacks from a peer whose copy extends its own. */

import type { BatchPart } from '../../changes/entry.js'
import { partsOf, readEntry, singlesOf } from '../../changes/entry.js'
import { blobsOf } from '../../changes/intent.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import { HotspareError } from '../../errors.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { BulkClient } from './client.js'
import { fetchBlob, fetchEntries, type Reached } from './fetch-blob.js'

export interface MissingEntries {
  readonly copy: LocalCopy
  readonly storage: OpenStorage
  readonly bulk: BulkClient
  readonly peer: string
  readonly signal: AbortSignal
  /**
   * Copies files that were changed outside of the library into the vault, before a change of the
   * history replaces them.
   */
  keepOutside(paths: readonly string[]): Promise<void>
  readonly reached: Reached
}

/** Fetches and appends entries up to this change; resolves when they are durable. */
export async function fetchUpTo(context: MissingEntries, seq: number): Promise<void> {
  const { copy, bulk, peer, reached } = context
  while (copy.seq < seq) {
    const before = copy.seq
    await append(context, await fetchEntries(bulk, copy.extent, reached))
    if (copy.seq === before) {
      throw new HotspareError('RESTORE_FAILED', `${peer} has no entries after ${before}`)
    }
  }
  await copy.flush()
}

async function append(context: MissingEntries, bytes: Uint8Array): Promise<void> {
  const { copy, storage, bulk, signal, reached } = context
  for (let at = 0; at < bytes.length; ) {
    const entry = readEntry(bytes, at)
    if (typeof entry === 'string') {
      throw new HotspareError('FRAME_CORRUPT', 'a fetched entry is damaged')
    }
    at += entry.header.length
    const parts = entry.header.kind === 'changes' ? partsOf(entry) : undefined
    for (const blob of parts?.flatMap(blobsOf) ?? []) {
      await fetchBlob(bulk, storage, blob, signal, reached)
    }
    if (parts !== undefined) await keepReplaced(context, parts)
    copy.appendRead(entry, parts)
    if (copy.congested) await copy.decongested()
  }
}

/**
 * Files that were put at these paths outside of the library are in no history, so they are kept
 * before the changes replace them (promise 5).
 */
async function keepReplaced(
  { copy, keepOutside }: MissingEntries,
  parts: readonly BatchPart[],
): Promise<void> {
  const { unknown, differing, missing } = copy.outside.report
  if (unknown.length + differing.length + missing.length === 0) return
  const present = new Set([...unknown, ...differing].map(({ path }) => path))
  const touched = new Set<string>()
  for (const part of parts) {
    if (part.kind === 'updateRun') continue
    for (const change of singlesOf(part)) {
      if (change.kind === 'update') continue
      if (present.has(change.path)) touched.add(change.path)
    }
  }
  if (touched.size > 0) await keepOutside([...touched])
}
