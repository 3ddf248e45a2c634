/** Brings the parts of a copy up from its storage: at the start, and after a switch. */
import { HotspareError } from '../errors.js'
import type { CheckpointDocument } from './checkpoint-document.js'
import { readCheckpoint } from './checkpoint-document.js'
import { Checkpointer } from './checkpointer.js'
import type { Contents } from './contents.js'
import type { LocalCopyOptions } from './copy-types.js'
import { IndexLog } from './index-log.js'
import type { JournalOptions } from './journal.js'
import { Journal } from './journal.js'
import type { JournalDamage } from './journal-scan.js'
import { journalArea, Recovery } from './recovery.js'
import type { RestoreManifest } from './restore-manifest.js'
import { readManifest } from './restore-manifest.js'
import { Switch } from './switch.js'
import { followPolicy } from './tree-scan.js'

/** The parts that are replaced by a switch. */
export interface LoadedCopy {
  readonly journal: Journal
  readonly indexLog: IndexLog
  readonly checkpointer: Checkpointer
  /** Set when something that had been durable cannot be read. */
  readonly damage: JournalDamage | undefined
}

export interface LoadOptions {
  readonly copy: LocalCopyOptions
  readonly contents: Contents
  readonly onFailure: (error: HotspareError) => void
}

/** Options of the journal in an area. */
export function journalOptions(
  options: LoadOptions,
  area: string,
  tailBytesMax: number,
): JournalOptions {
  const { storage, random, limits } = options.copy
  const { segmentBytes } = limits
  const { onFailure } = options
  return { logs: storage.logs, area, random, segmentBytes, tailBytesMax, onFailure }
}

/** Opens what the storage holds; finishes a switch that was under way. */
export async function openCopy(options: LoadOptions): Promise<LoadedCopy> {
  const { storage } = options.copy
  const { contents } = options
  const indexLog = new IndexLog(storage.logs)
  const finds: Finds = { damage: undefined }
  const manifest = await believe(finds, 'switch', () => readManifest(storage.documents))
  let checkpoint = await believe(finds, 'checkpoint', () => readCheckpoint(storage.documents))
  if (checkpoint !== undefined) checkpoint = await loadIndex(finds, indexLog, contents, checkpoint)
  if (manifest !== undefined) {
    checkpoint = await new Switch(options.copy, manifest, contents, indexLog).rollForward()
  }
  followPolicy(options.copy, contents.index)
  const loaded = await startJournal(options, checkpoint, indexLog, 0, true, finds.damage)
  await removeOrphans(options)
  return loaded
}

/** Carries a durable manifest out and opens what it makes. */
export async function switchCopy(
  options: LoadOptions,
  manifest: RestoreManifest,
  old: LoadedCopy,
): Promise<LoadedCopy> {
  const { contents } = options
  const { storage } = options.copy
  const before = [...contents.blobs.entries()].map(([id]) => id)
  const change = new Switch(options.copy, manifest, contents, old.indexLog)
  const checkpoint = await change.rollForward()
  const ordinal = old.journal.lastOrdinal
  const loaded = await startJournal(options, checkpoint, old.indexLog, ordinal, false, undefined)
  const gone = before.filter((id) => !contents.blobs.has(id))
  if (gone.length > 0) await storage.objects.remove('blobs', gone)
  return loaded
}

interface Finds {
  damage: JournalDamage | undefined
}

/** What was read; undefined, noted as damage, when it fails its check. */
async function believe<T>(
  finds: Finds,
  what: string,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (
      !HotspareError.is(error, 'STORAGE_CORRUPT') &&
      !HotspareError.is(error, 'PROTOCOL_VIOLATION')
    ) {
      throw error
    }
    finds.damage = { segment: what, offset: 0, why: error.message }
    return undefined
  }
}

async function loadIndex(
  finds: Finds,
  indexLog: IndexLog,
  contents: Contents,
  checkpoint: CheckpointDocument,
): Promise<CheckpointDocument> {
  await believe(finds, 'index', () => indexLog.load(checkpoint.index, contents.index))
  contents.index.sortTombstones()
  contents.index.raiseFloor(checkpoint.tombstoneFloor)
  return checkpoint
}

async function startJournal(
  options: LoadOptions,
  checkpoint: CheckpointDocument | undefined,
  indexLog: IndexLog,
  ordinal: number,
  isStart: boolean,
  found: JournalDamage | undefined,
): Promise<LoadedCopy> {
  const { contents, copy } = options
  const scanned = await new Recovery(copy, contents, checkpoint, isStart).run()
  const damage = found ?? scanned.damage
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

/** Blobs that no record names were on their way when the node stopped. */
async function removeOrphans(options: LoadOptions): Promise<void> {
  const { objects } = options.copy.storage
  const stored = await objects.list('blobs')
  const orphans = stored.map(({ name }) => name).filter((name) => !options.contents.blobs.has(name))
  if (orphans.length > 0) await objects.remove('blobs', orphans)
}
