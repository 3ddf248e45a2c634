/**
 * The vault: what a node had and the surviving history has not. Nothing of a losing history is removed before it
 * lies here, durable and checksummed.
 *
 * One incident is one sealed document `vault/<incident>` (the list of its changes) and objects below
 * `<incident>/` in the area `vault`: the journal entries beyond the fork as they were, their blobs, and the
 * present version of every file they touched. Nothing is ever evicted: at `vaultBytesMax` it is `VAULT_FULL`.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { HotspareError } from '../errors.js'
import type { Clock } from '../interfaces/clock.js'
import type { ObjectSlice, OpenStorage, TreeOperation } from '../interfaces/storage.js'
import { decode, encode } from '../protocol/codec.js'
import type { BlobRef, Change } from './change.js'
import type { Entry } from './entry.js'
import { changesOf, singlesOf } from './entry.js'
import type { LocalCopy } from './local-copy.js'
import type { Extent } from './position.js'
import { positionOf } from './position.js'
import type { PlanMessage } from './stream/wire.js'

/**
 * Why something is in the vault: `divergence`: changes that the surviving history does not have; `outside`: files that
 * another program changed; `massDelete`: files that a restore was about to remove in bulk; `unusedRestore`: the journal
 * of a restore that did not finish.
 */
export type VaultReason = 'divergence' | 'outside' | 'massDelete' | 'unusedRestore'

/** A change on the losing side. */
export interface LostChange {
  /** Its sequence number in the losing history. */
  readonly seq: number
  /** The number of the term that stamped it. */
  readonly epoch: number
  /** What it did. */
  readonly kind: Change['kind']
  /** Its class; of a transaction, that of its first change; undefined for an empty one. */
  readonly className: string | undefined
  /** The files that it touched; none for application state. */
  readonly paths: readonly string[]
  /** Whether its caller had been told that it was safe; `unknown` beyond the last acknowledged-up-to mark. */
  readonly acknowledged: true | 'unknown'
}

/** A file's bytes in the vault. */
export interface VaultedFile {
  /** Where the file stood. */
  readonly path: string
  /** What `vault.read` takes to give its bytes. */
  readonly object: string
  /** Its size. */
  readonly bytes: number
}

/** A class's state in the vault. */
export interface VaultedState {
  /** The class of application state. */
  readonly className: string
  /** What `vault.read` takes to give its bytes. */
  readonly object: string
  /** Bytes of the encoded snapshot. */
  readonly bytes: number
}

/** One incident, sealed. */
export interface VaultIncident {
  /** The format of this description. */
  readonly version: 1
  /** Unique on this node; the same loss gives the same id, however often it is met. */
  readonly id: string
  /** Why it was kept. */
  readonly reason: VaultReason
  /** Wall clock when it was sealed, milliseconds since 1970, for people. */
  readonly atWallMs: number
  /** The last change that the surviving history has too. */
  readonly commonSeq: number
  /** The losing copy's history and end. */
  readonly extent: Extent
  /**
   * The changes that this node had journaled. Those between `commonSeq` and the first of them came to it by a restore:
   * `files` and `states` hold what they left.
   */
  readonly changes: readonly LostChange[]
  /** True when `changes` does not list all of them (at most 10 000); the journal object holds them all. */
  readonly truncated: boolean
  /**
   * True when the losing journal could not be read to its end: `changes` and the journal object then end where the damage
   * begins, `files` and `states` are whole all the same.
   */
  readonly damaged: boolean
  /** The present version of every file that the losing side touched. */
  readonly files: readonly VaultedFile[]
  /** The application's states as the losing side had them, encoded as a restore sends them. */
  readonly states: readonly VaultedState[]
  /** The journal entries as they were; undefined where only files were kept. */
  readonly journal:
    | {
        /** What `vault.read` takes to give its bytes. */
        readonly object: string
        /** Its size. */
        readonly bytes: number
        /** CRC-32 of its bytes. */
        readonly crc: number
      }
    | undefined
  /** The ids of the blobs that the journal entries name. */
  readonly blobs: readonly string[]
}

export interface VaultOptions {
  readonly storage: OpenStorage
  readonly clock: Clock
  readonly nodeId: string
  readonly bytesMax: number
  /** The classes of application state. */
  readonly stateClasses: readonly string[]
  report(incident: VaultIncident): void
}

/** Changes listed one by one in an incident. */
export const listedChangesMax = 10_000
const incidentsPrefix = 'vault-incidents/'
const copyChunkBytes = 1024 * 1024
const filesPerBatch = 256

/** What an attempt collected for an incident. */
type Kept = Pick<VaultIncident, 'reason'> & Partial<VaultIncident>

const nothing = {
  commonSeq: 0,
  extent: { history: [], seq: 0 },
  changes: [],
  truncated: false,
  damaged: false,
  files: [],
  states: [],
  journal: undefined,
  blobs: [],
} as const

export class Vault {
  readonly #options: VaultOptions
  #bytes = 0
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(options: VaultOptions) {
    this.#options = options
  }

  static async open(options: VaultOptions): Promise<Vault> {
    const vault = new Vault(options)
    await vault.#tidy()
    return vault
  }

  /** Bytes in the vault. */
  get bytes(): number {
    return this.#bytes
  }

  /** All incidents, oldest first. */
  async list(): Promise<VaultIncident[]> {
    const { documents } = this.#options.storage
    const incidents: VaultIncident[] = []
    for (const name of await documents.list(incidentsPrefix)) {
      const bytes = await documents.read(name)
      if (bytes !== undefined) incidents.push(decode(bytes) as VaultIncident)
    }
    return incidents.sort((left, right) => left.atWallMs - right.atWallMs)
  }

  /** The bytes of an object of an incident. */
  async read(object: string, offset: number, length: number): Promise<Uint8Array> {
    return await this.#options.storage.objects.read('vault', object, offset, length)
  }

  /** Removes an incident that was looked at and is not needed any more. */
  remove(incident: VaultIncident): Promise<void> {
    return this.#inTurn(async () => {
      await this.#options.storage.documents.remove(documentOf(incident.id))
      await this.#tidy()
    })
  }

  /** One after the other: whoever tidies takes what is not sealed for the rest of an attempt that ended. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** Removes what belongs to no sealed incident, and counts the rest. */
  async #tidy(): Promise<void> {
    const { documents, objects } = this.#options.storage
    const sealed = new Set(await documents.list(incidentsPrefix))
    const left: string[] = []
    let bytes = 0
    for (const object of await objects.list('vault')) {
      const folder = object.name.slice(0, object.name.indexOf('/'))
      if (sealed.has(`${incidentsPrefix}${folder}`)) bytes += object.bytes
      else left.push(object.name)
    }
    if (left.length > 0) await objects.remove('vault', left)
    this.#bytes = bytes
  }

  /**
   * Makes an incident; the one that is sealed under this id is given back as it is. Nothing is removed anywhere before its
   * incident is sealed, so an attempt that ended before may begin anew.
   */
  #keep(id: string, collect: () => Promise<Kept>): Promise<VaultIncident> {
    return this.#inTurn(async () => {
      const sealed = await this.#sealed(id)
      if (sealed !== undefined) return sealed
      await this.#tidy()
      return await this.#seal({ id, ...nothing, ...(await collect()) })
    })
  }

  /** Keeps what this copy has beyond the plan's common position. */
  async keepDivergence(copy: LocalCopy, plan: PlanMessage): Promise<VaultIncident> {
    const { nodeId } = this.#options
    // A damaged journal takes nothing any more, and what was before the damage is applied.
    if (copy.failed === undefined) await copy.settle()
    // The same fork gives the same incident, however often the restore is tried again. The term is named whole: another
    // divergence may end in one of the same epoch, at the same change.
    const term = positionOf(copy.extent)?.term
    const ending = term === undefined ? '0' : `${term.epoch}-${term.nodeId}-${term.bootId}`
    const id = `divergence-${nodeId}-${ending}-${plan.commonSeq}-${copy.seq}`
    return await this.#keep(id, () => this.#collectDivergence(id, copy, plan))
  }

  async #collectDivergence(id: string, copy: LocalCopy, plan: PlanMessage): Promise<Kept> {
    const { extent } = copy
    const changes: LostChange[] = []
    const blobs = new Map<string, BlobRef>()
    // By the index, not by the journal: that reaches back no further than the last restore of this copy.
    const touched = new Set(copy.index.changedSince(plan.commonSeq).files.map(({ path }) => path))
    let truncated = false
    const { journal, damaged } = await this.#keepJournal(
      id,
      copy,
      plan.commonSeq,
      (entry, change, seq) => {
        for (const single of singlesOf(change)) {
          if (single.kind !== 'update') touched.add(single.path)
          if ((single.kind === 'put' || single.kind === 'patch') && single.blob) {
            blobs.set(single.blob.id, single.blob)
          }
        }
        truncated = changes.length >= listedChangesMax
        if (!truncated) changes.push(lostChange(entry, change, seq, copy.ackedSeq))
      },
    )
    for (const blob of blobs.values()) await this.#keepBlob(id, blob)
    const files = await this.#keepTree(id, [...touched])
    const states = await this.#keepStates(id, copy)
    const { commonSeq } = plan
    const kept = { commonSeq, extent, changes, truncated, damaged, files, states, journal }
    return { reason: 'divergence', ...kept, blobs: [...blobs.keys()] }
  }

  async #keepStates(id: string, copy: LocalCopy): Promise<VaultedState[]> {
    const states: VaultedState[] = []
    for (const [at, className] of this.#options.stateClasses.entries()) {
      const { bytes } = await copy.stateSnapshot(className)
      const object = `${slug(id)}/states/${at}`
      for (let offset = 0; offset < bytes.length; offset += copyChunkBytes) {
        await this.#write(object, offset, bytes.slice(offset, offset + copyChunkBytes))
      }
      states.push({ className, object, bytes: bytes.length })
    }
    return states
  }

  /** Keeps files that a restore is about to replace or remove. */
  async keepFiles(reason: VaultReason, paths: readonly string[]): Promise<VaultIncident> {
    const id = await this.#idOfFiles(reason, paths)
    return await this.#keep(id, async () => ({ reason, files: await this.#keepTree(id, paths) }))
  }

  /**
   * Keeps the journal of a restore that was not finished, before it is dropped: its entries may be all that is left of
   * an active that died meanwhile.
   */
  async keepUnusedJournal(area: string): Promise<VaultIncident | undefined> {
    const { logs } = this.#options.storage
    const segments = await logs.list(area)
    const total = segments.reduce((sum, segment) => sum + segment.bytes, 0)
    const first = segments[0]
    if (first === undefined || total === 0) return undefined
    const id = `unusedRestore-${this.#options.nodeId}-${first.name}-${total}`
    return await this.#keep(id, async () => {
      const journal = await this.#keepSegments(`${slug(id)}/journal`, area, segments)
      return { reason: 'unusedRestore', truncated: true, journal }
    })
  }

  async #keepSegments(
    object: string,
    area: string,
    segments: readonly { readonly name: string }[],
  ): Promise<VaultIncident['journal']> {
    const { logs } = this.#options.storage
    let bytes = 0
    let crc = 0
    for (const { name } of segments) {
      const log = await logs.open(area, name)
      try {
        for (let offset = 0; offset < log.bytes; ) {
          const chunk = await log.read(offset, copyChunkBytes)
          if (chunk.length === 0) break
          const { length } = chunk
          crc = crc32(chunk, crc)
          await this.#write(object, bytes, chunk)
          offset += length
          bytes += length
        }
      } finally {
        await log.close()
      }
    }
    return { object, bytes, crc }
  }

  /** Files in the same state give the same incident, so that a restore tried again keeps them once. */
  async #idOfFiles(reason: VaultReason, paths: readonly string[]): Promise<string> {
    const hash = createHash('sha256')
    for (let at = 0; at < paths.length; at += filesPerBatch) {
      const batch = paths.slice(at, at + filesPerBatch)
      const stats = await this.#options.storage.tree.stat(batch)
      hash.update(JSON.stringify([batch, stats]))
    }
    return `${reason}-${this.#options.nodeId}-${hash.digest('hex').slice(0, 16)}`
  }

  async #sealed(id: string): Promise<VaultIncident | undefined> {
    const bytes = await this.#options.storage.documents.read(documentOf(id))
    return bytes === undefined ? undefined : (decode(bytes) as VaultIncident)
  }

  async #seal(parts: Omit<VaultIncident, 'version' | 'atWallMs'>): Promise<VaultIncident> {
    const { storage, clock } = this.#options
    const incident: VaultIncident = { version: 1, atWallMs: clock.wallMs(), ...parts }
    const below = await storage.objects.list('vault', `${slug(parts.id)}/`)
    await storage.objects.sync(
      'vault',
      below.map(({ name }) => name),
    )
    await storage.documents.write(documentOf(parts.id), encode(incident))
    this.#options.report(incident)
    return incident
  }

  async #keepJournal(
    id: string,
    copy: LocalCopy,
    afterSeq: number,
    each: (entry: Entry, change: Change, seq: number) => void,
  ): Promise<Pick<VaultIncident, 'journal' | 'damaged'>> {
    const object = `${slug(id)}/journal`
    const reader = copy.reader(Math.max(afterSeq, copy.firstSeq - 1))
    let bytes = 0
    let crc = 0
    let damaged = false
    try {
      for (;;) {
        const entries = await reader.next(copyChunkBytes).catch((error: unknown) => {
          damaged = (error as HotspareError).code === 'JOURNAL_CORRUPT'
          if (damaged) return []
          throw error
        })
        if (entries.length === 0) break
        for (const entry of entries) {
          if (entry.header.kind !== 'changes') continue
          for (const [at, change] of changesOf(entry).entries())
            each(entry, change, entry.header.firstSeq + at)
        }
        const chunk = Buffer.concat(entries.map((entry) => entry.bytes))
        crc = crc32(chunk, crc)
        await this.#write(object, bytes, chunk)
        bytes += chunk.length
      }
    } finally {
      reader.close()
    }
    return { journal: { object, bytes, crc }, damaged }
  }

  async #keepBlob(id: string, blob: BlobRef): Promise<void> {
    const { objects } = this.#options.storage
    const object = `${slug(id)}/blobs/${blob.id}`
    for (let offset = 0; offset < blob.bytes; ) {
      const chunk = await objects.read('blobs', blob.id, offset, copyChunkBytes)
      if (chunk.length === 0) break
      const { length } = chunk
      await this.#write(object, offset, chunk)
      offset += length
    }
  }

  async #write(name: string, offset: number, chunk: Uint8Array): Promise<void> {
    this.#claim(chunk.length)
    const slice: ObjectSlice = { name, offset, start: 0, length: chunk.length }
    await this.#options.storage.objects.write('vault', chunk, [slice])
  }

  /** Copies the present bytes of files; paths without a file are left out. */
  async #keepTree(id: string, paths: readonly string[]): Promise<VaultedFile[]> {
    const { tree } = this.#options.storage
    const files: VaultedFile[] = []
    for (let at = 0; at < paths.length; at += filesPerBatch) {
      const batch = paths.slice(at, at + filesPerBatch)
      const stats = await tree.stat(batch)
      const operations: TreeOperation[] = []
      for (const [offset, path] of batch.entries()) {
        const stat = stats[offset]
        if (stat === undefined) continue
        this.#claim(stat.size)
        const object = `${slug(id)}/files/${at + offset}`
        files.push({ path, object, bytes: stat.size })
        operations.push({ kind: 'keep', path, area: 'vault', name: object, copy: true })
      }
      await tree.apply(operations)
    }
    return files
  }

  #claim(bytes: number): void {
    const { bytesMax } = this.#options
    if (this.#bytes + bytes > bytesMax) {
      throw new HotspareError(
        'VAULT_FULL',
        `the vault holds ${this.#bytes} bytes, ${bytes} more would pass its limit of ${bytesMax}`,
      )
    }
    this.#bytes += bytes
  }
}

function lostChange(entry: Entry, change: Change, seq: number, ackedSeq: number): LostChange {
  const singles = singlesOf(change)
  const paths = singles.flatMap((single) => (single.kind === 'update' ? [] : [single.path]))
  const className = singles[0]?.className
  const acknowledged = seq <= ackedSeq ? true : 'unknown'
  return { seq, epoch: entry.header.epoch, kind: change.kind, className, paths, acknowledged }
}

function slug(id: string): string {
  return id.toLowerCase().replace(/[^a-z0-9._-]+/g, '-')
}

function documentOf(id: string): string {
  return `${incidentsPrefix}${slug(id)}`
}
