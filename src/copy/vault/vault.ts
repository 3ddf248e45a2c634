/**
 * The vault keeps what a node had and the surviving history lacks. Nothing of a losing history is
 * removed before it is in the vault, durable and with a checksum.
 *
 * An incident is a sealed document `vault-incidents/<incident>` (what it is, and the list of its
 * changes) and objects below `<incident>/` in the area `vault`: the journal entries after the fork,
 * their blobs, the latest version of every file that they changed, and the states of the
 * application. Nothing is evicted: at `vaultBytesMax` the error is `VAULT_FULL`.
 */

import { createHash } from 'node:crypto'
import type { BlobRef, Change } from '../../changes/change.js'
import type { Entry } from '../../changes/entry.js'
import { singlesOf } from '../../changes/entry.js'
import { HotspareError } from '../../errors.js'
import type { Extent } from '../../history/position.js'
import { positionOf, relate } from '../../history/position.js'
import type { Clock } from '../../interfaces/clock.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import { encode } from '../../protocol/codec.js'
import { inBatches } from '../../util/in-batches.js'
import { Turns } from '../../util/turns.js'
import { AckedRanges } from '../journal/acked-ranges.js'
import { scanJournal } from '../journal/scan.js'
import type { LocalCopy } from '../local-copy.js'
import { nextArea } from '../switch/roll-forward.js'
import type { Kept, LostChange, VaultIncident, VaultReason } from './incident.js'
import {
  decodeIncident,
  documentOf,
  folderOf,
  incidentsPrefix,
  lostChange,
  nothing,
} from './incident.js'
import { keepReplaced, type ReplacedFile } from './keep-replaced.js'
import { filesPerBatch, VaultObjects } from './objects.js'

export interface VaultOptions {
  readonly storage: OpenStorage
  readonly clock: Clock
  readonly nodeId: string
  readonly bytesMax: number
  /** The classes of application state. */
  readonly stateClasses: readonly string[]
  report(incident: VaultIncident): void
}

/**
 * Changes, and versions that could not be kept, that an incident lists; beyond it the incident is
 * marked `truncated`, and its journal object contains all.
 */
export const listedChangesMax = 10_000

export class Vault {
  readonly #options: VaultOptions
  readonly #objects: VaultObjects
  /**
   * Calls run one at a time, because `tidy()` deletes objects of unsealed incidents and must not
   * run while an incident is being written.
   */
  readonly #turns = new Turns()

  private constructor(options: VaultOptions) {
    this.#options = options
    this.#objects = new VaultObjects(options.storage, options.bytesMax)
  }

  static async open(options: VaultOptions): Promise<Vault> {
    const vault = new Vault(options)
    await vault.#objects.tidy()
    return vault
  }

  /** Bytes in the vault. */
  get bytes(): number {
    return this.#objects.bytes
  }

  /** All incidents, oldest first, after those that cannot be read. */
  async list(): Promise<VaultIncident[]> {
    const incidents: VaultIncident[] = []
    for (const name of await this.#options.storage.documents.list(incidentsPrefix)) {
      const incident = await this.#sealed(name.slice(incidentsPrefix.length))
      if (incident !== undefined) incidents.push(incident)
    }
    return incidents.sort((left, right) => left.atWallMs - right.atWallMs)
  }

  /**
   * Reads bytes of an object of an incident.
   *
   * @throws `FILE_NOT_FOUND` when there is no such object
   */
  async read(object: string, offset: number, length: number): Promise<Uint8Array> {
    const { objects } = this.#options.storage
    try {
      return await objects.read('vault', object, offset, length)
    } catch (error) {
      const named = await objects.list('vault', object)
      if (named.some(({ name }) => name === object)) throw error
      const whatToDo =
        'Give the object of a file, a state or the journal, as vault.list() names it.'
      throw new HotspareError('FILE_NOT_FOUND', `the vault holds no object '${object}'`, {
        cause: error,
        whatToDo,
      })
    }
  }

  /** Removes an incident that is no longer needed. */
  remove(incident: VaultIncident): Promise<void> {
    return this.#turns.run(async () => {
      await this.#options.storage.documents.remove(documentOf(incident.id))
      await this.#objects.tidy()
    })
  }

  /**
   * Makes an incident, or returns the one that is sealed under this id. Nothing is removed anywhere
   * before its incident is sealed, so an interrupted attempt can start again.
   */
  #keep(id: string, collect: () => Promise<Kept>): Promise<VaultIncident> {
    return this.#turns.run(async () => {
      const sealed = await this.#sealed(id)
      if (sealed !== undefined) return sealed
      await this.#objects.tidy()
      return await this.#seal({ id, ...nothing, ...(await collect()) })
    })
  }

  /** Keeps what this copy has after the last change that it shares with the surviving history. */
  async keepDivergence(copy: LocalCopy, commonSeq: number): Promise<VaultIncident> {
    const { nodeId } = this.#options
    // A damaged journal accepts nothing, and what precedes the damage is applied.
    if (copy.failed === undefined) await copy.settle()
    // The same fork has the same incident, however often the restore is tried. The complete term is
    // part of it, because another divergence may end in a term of the same epoch at the same
    // change.
    const term = positionOf(copy.extent)?.term
    const ending = term === undefined ? '0' : `${term.epoch}-${term.nodeId}-${term.bootId}`
    const id = `divergence-${nodeId}-${ending}-${commonSeq}-${copy.seq}`
    return await this.#keep(id, () => this.#collectDivergence(id, copy, commonSeq))
  }

  async #collectDivergence(id: string, copy: LocalCopy, commonSeq: number): Promise<Kept> {
    const { extent } = copy
    const lost: LostChange[] = []
    const blobs = new Map<string, BlobRef>()
    // Found by the index, because the journal reaches back only to the last restore of this copy.
    const touched = new Set(copy.index.changedSince(commonSeq).files.map(({ path }) => path))
    let truncated = false
    const acked = new AckedRanges()
    const each = (entry: Entry, list: readonly Change[]): void => {
      acked.note(entry)
      for (const [at, change] of list.entries()) {
        for (const single of singlesOf(change)) {
          if (single.kind !== 'update') touched.add(single.path)
          if ((single.kind === 'put' || single.kind === 'patch') && single.blob) {
            blobs.set(single.blob.id, single.blob)
          }
        }
        truncated = lost.length >= listedChangesMax
        if (!truncated) lost.push(lostChange(entry, change, entry.header.firstSeq + at))
      }
    }
    const { journal, damaged } = await this.#objects.keepJournal(id, copy, commonSeq, each)
    // The mark of a change is in a later entry.
    const changes = lost.map((change) =>
      acked.has(change.seq) ? { ...change, acknowledged: true as const } : change,
    )
    for (const blob of blobs.values()) await this.#objects.keepBlob(id, blob)
    const files = await this.#objects.keepTree(id, [...touched])
    const states = await this.#objects.keepStates(id, copy, this.#options.stateClasses)
    const kept = { commonSeq, extent, changes, truncated, damaged, files, states, journal }
    return { reason: 'divergence', ...kept, blobs: [...blobs.keys()] }
  }

  /** Keeps files that a restore will replace or remove. */
  async keepFiles(reason: VaultReason, paths: readonly string[]): Promise<VaultIncident> {
    const id = await this.#idOfFiles(reason, paths)
    return await this.#keep(id, async () => ({
      reason,
      files: await this.#objects.keepTree(id, paths),
    }))
  }

  /**
   * Keeps the history's versions of files that this copy will adopt as another program left them,
   * as far as they can be read. Undefined when nothing would be lost. `mayGoOn` throws when no time
   * is left.
   */
  async keepReplaced(
    copy: LocalCopy,
    replaced: readonly ReplacedFile[],
    mayGoOn: () => void,
  ): Promise<VaultIncident | undefined> {
    // Derived from the versions and the files that replace them, so that a repeated attempt in
    // another term keeps them once.
    const newest = replaced.reduce((seq, { version }) => Math.max(seq, version), 0)
    const { term } = positionOf({ history: copy.history, seq: newest }) ?? {}
    const versions = replaced.map(({ path, version, stat }) => [path, version, stat])
    const hash = createHash('sha256')
      .update(JSON.stringify([term, versions]))
      .digest('hex')
    const id = `adopted-${this.#options.nodeId}-${hash.slice(0, 16)}`
    return await this.#turns.run(async () => {
      const sealed = await this.#sealed(id)
      if (sealed !== undefined) return sealed
      await this.#objects.tidy()
      const { storage } = this.#options
      const objects = this.#objects
      const { files, gone } = await keepReplaced({ objects, storage, copy, id, mayGoOn }, replaced)
      if (files.length + gone.length === 0) return undefined
      const truncated = gone.length > listedChangesMax
      const { extent } = copy
      const listed = gone.length === 0 ? {} : { gone: gone.slice(0, listedChangesMax) }
      const kept = { commonSeq: copy.seq, extent, truncated, files, ...listed }
      return await this.#seal({ id, ...nothing, reason: 'adopted', ...kept }, mayGoOn)
    })
  }

  /**
   * Drops the journal of an unfinished restore. Entries that `survivor` lacks are kept first,
   * because they may be all that is left of an active that died meanwhile.
   */
  async dropUnused(copy: LocalCopy, survivor: Extent): Promise<void> {
    await copy.restoreSwitch.stop()
    await this.keepUnusedJournal(nextArea, survivor)
    await copy.restoreSwitch.drop()
  }

  /**
   * Keeps a journal that will be dropped, unless it has no changes, or none that `survivor` lacks.
   */
  async keepUnusedJournal(area: string, survivor?: Extent): Promise<VaultIncident | undefined> {
    const { logs } = this.#options.storage
    // Derived from all entries, because restores from the same position may begin alike and differ
    // later.
    const hash = createHash('sha256')
    let hasChanges = false
    const { facts, damage } = await scanJournal(logs, area, undefined, (entry) => {
      hash.update(entry.bytes)
      hasChanges ||= entry.header.kind === 'changes'
    })
    const extent: Extent = { history: facts.history, seq: facts.seq }
    if (damage !== undefined) hash.update(`${damage.segment}:${damage.offset}`)
    else if (!hasChanges || (survivor !== undefined && isWithin(extent, survivor))) return undefined
    const id = `unusedRestore-${this.#options.nodeId}-${hash.digest('hex').slice(0, 16)}`
    return await this.#keep(id, async () => {
      const segments = await logs.list(area)
      const journal = await this.#objects.keepSegments(`${folderOf(id)}/journal`, area, segments)
      const damaged = damage !== undefined
      return { reason: 'unusedRestore', extent, truncated: true, damaged, journal }
    })
  }

  /** Files in the same state have the same incident, so that a repeated restore keeps them once. */
  async #idOfFiles(reason: VaultReason, paths: readonly string[]): Promise<string> {
    const hash = createHash('sha256')
    for (const batch of inBatches(paths, filesPerBatch)) {
      const stats = await this.#options.storage.tree.stat(batch)
      hash.update(JSON.stringify([batch, stats]))
    }
    return `${reason}-${this.#options.nodeId}-${hash.digest('hex').slice(0, 16)}`
  }

  /**
   * A sealed incident that cannot be read counts as sealed: its objects exist, and the caller may
   * continue.
   */
  async #sealed(id: string): Promise<VaultIncident | undefined> {
    try {
      const bytes = await this.#options.storage.documents.read(documentOf(id))
      return bytes === undefined ? undefined : decodeIncident(bytes)
    } catch (error) {
      if (!HotspareError.is(error, 'STORAGE_CORRUPT')) throw error
      return await this.#unreadable(folderOf(id))
    }
  }

  async #unreadable(id: string): Promise<VaultIncident> {
    const files = await this.#objects.list(id)
    const reason = 'unreadable'
    return { version: 1, id, atWallMs: 0, ...nothing, reason, damaged: true, files }
  }

  async #seal(
    parts: Omit<VaultIncident, 'version' | 'atWallMs'>,
    between: () => void = () => undefined,
  ): Promise<VaultIncident> {
    const { storage, clock } = this.#options
    const incident: VaultIncident = { version: 1, atWallMs: clock.wallMs(), ...parts }
    await this.#objects.sync(parts.id, between)
    await storage.documents.write(documentOf(parts.id), encode(incident))
    this.#options.report(incident)
    return incident
  }
}

/** Whether a copy with one extent contains everything of a copy with the other. */
function isWithin(extent: Extent, other: Extent): boolean {
  const { kind } = relate(extent, other)
  return kind === 'equal' || kind === 'behind'
}
