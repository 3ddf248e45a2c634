/** Opens the parts of a copy from its storage, at the start and after a switch. */
import { HotspareError } from '../errors.js'
import type { CheckpointDocument } from './checkpoint/checkpoint-document.js'
import { readCheckpoint } from './checkpoint/checkpoint-document.js'
import { Checkpointer } from './checkpoint/checkpointer.js'
import { journalArea, Recovery } from './checkpoint/recovery.js'
import type { Contents } from './contents/replicated-state.js'
import type { LocalCopyOptions } from './contents/types.js'
import { IndexLog } from './files/index-log.js'
import { followPolicy } from './files/tree-scan.js'
import { Journal } from './journal/journal.js'
import type { JournalDamage } from './journal/scan.js'
import { listSegments } from './journal/scan.js'
import type { JournalOptions } from './journal/types.js'
import { readManifest } from './switch/manifest.js'
import { RollForward } from './switch/roll-forward.js'

/** The parts that a switch replaces. */
export interface LoadedCopy {
  readonly journal: Journal
  readonly indexLog: IndexLog
  readonly checkpointer: Checkpointer
  /** Set when durable data cannot be read. */
  readonly damage: JournalDamage | undefined
}

export interface LoadOptions {
  readonly copy: LocalCopyOptions
  readonly contents: Contents
  readonly onFailure: (error: HotspareError) => void
}

/** The options of the journal in an area. */
export function journalOptions(
  options: LoadOptions,
  area: string,
  tailBytesMax: number,
): JournalOptions {
  const { storage, random, clock, limits } = options.copy
  const { segmentBytes } = limits
  const { onFailure } = options
  return { logs: storage.logs, area, random, clock, segmentBytes, tailBytesMax, onFailure }
}

/** Opens the copy in the storage, and finishes a switch in progress. */
export async function openCopy(options: LoadOptions): Promise<LoadedCopy> {
  requireCase(options.copy)
  const { storage } = options.copy
  const { contents } = options
  const indexLog = new IndexLog(storage.logs)
  const switching = await believe('switch', () => readManifest(storage.documents))
  const { checkpoint, damage } = await openCheckpoint(options, indexLog)
  let place = checkpoint
  if (switching.value !== undefined) {
    place = await new RollForward(options.copy, switching.value, contents, indexLog).run()
  }
  followPolicy(options.copy, contents.index)
  const found = switching.damage ?? (switching.value === undefined ? damage : undefined)
  const from = { checkpoint: place, indexLog, ordinal: 0, isStart: true, damage: found }
  const loaded = await startJournal(options, from)
  await removeOrphans(options)
  return loaded
}

/** What was read, or why it cannot be trusted. */
interface Belief<T> {
  readonly value: T | undefined
  readonly damage: JournalDamage | undefined
}

async function believe<T>(what: string, read: () => Promise<T>): Promise<Belief<T>> {
  try {
    return { value: await read(), damage: undefined }
  } catch (error) {
    // Only damage is permanent; other errors may pass, so they are thrown.
    if (!HotspareError.is(error, 'STORAGE_CORRUPT')) throw error
    return { value: undefined, damage: { segment: what, offset: 0, why: error.message } }
  }
}

/**
 * Opens the checkpoint and updates the index to it. When one of them is broken, a journal that
 * starts with the first change replaces both; no other journal does.
 */
async function openCheckpoint(
  options: LoadOptions,
  indexLog: IndexLog,
): Promise<{
  readonly checkpoint: CheckpointDocument | undefined
  readonly damage: JournalDamage | undefined
}> {
  const { storage } = options.copy
  const { index } = options.contents
  const { value: checkpoint, damage } = await believe('checkpoint', () =>
    readCheckpoint(storage.documents),
  )
  if (checkpoint === undefined && damage === undefined) return { checkpoint, damage }
  const loaded =
    checkpoint === undefined
      ? { value: undefined, damage }
      : await believe('index', () => indexLog.load(checkpoint.index, index))
  if (checkpoint !== undefined && loaded.damage === undefined) {
    index.sortTombstones()
    index.raiseFloor(checkpoint.tombstoneFloor)
    return { checkpoint, damage: undefined }
  }
  index.clear()
  const [first] = await listSegments(storage.logs, journalArea)
  return { checkpoint: undefined, damage: first?.firstSeq === 1 ? undefined : loaded.damage }
}

/** Where the replay of the journal starts, and how its ordinals continue. */
interface JournalStart {
  readonly checkpoint: CheckpointDocument | undefined
  readonly indexLog: IndexLog
  /** The number of entries appended by this process before. */
  readonly ordinal: number
  /** False when an open copy is being replaced. */
  readonly isStart?: boolean
  /** The part of the checkpoint or the index that cannot be read. */
  readonly damage?: JournalDamage | undefined
}

/** Replays the journal from the checkpoint on, and continues it. */
export async function startJournal(options: LoadOptions, from: JournalStart): Promise<LoadedCopy> {
  const { contents, copy } = options
  const { checkpoint, indexLog, ordinal, isStart = false, damage: found } = from
  const facts = { isStart, isIndexSound: found === undefined }
  const recovered = await new Recovery(copy, contents, checkpoint, facts).run()
  const damage = found ?? recovered.damage
  const scanned = { ...recovered, damage }
  if (damage !== undefined) {
    const { segment, offset, why } = damage
    const where = `${segment}:${offset}`
    copy.emit({ name: 'journalDamaged', where, why, seq: scanned.facts.seq })
  }
  const settings = journalOptions(options, journalArea, copy.limits.tailBytesMax)
  const journal = await Journal.open(settings, scanned, ordinal)
  const place = checkpoint?.place
  const checkpointer = new Checkpointer(copy, journal, contents, indexLog, place, options.onFailure)
  return { journal, indexLog, checkpointer, damage }
}

/** Removes blobs that no record names; they were being stored when the node stopped. */
async function removeOrphans(options: LoadOptions): Promise<void> {
  const { objects } = options.copy.storage
  const stored = await objects.list('blobs')
  const orphans = stored.map(({ name }) => name).filter((name) => !options.contents.blobs.has(name))
  if (orphans.length > 0) await objects.remove('blobs', orphans)
}

function requireCase({ policy, storage }: LocalCopyOptions): void {
  if (policy.namesDifferingByCase !== 'allow' || storage.tree.foldsCase !== true) return
  throw new HotspareError(
    'OPTION_INVALID',
    "the policy says namesDifferingByCase: 'allow', and the storage of this node takes names that differ only in case for one",
    { details: { option: 'namesDifferingByCase' } },
  )
}
