/**
 * The target's side of a remote restore: compares the source's index with its own, fetches what
 * differs into the staging area, and hands back the manifest with which the copy switches over.
 * Until then the copy is not changed, so an abort at any time leaves it as it was.
 *
 * Invariants: a staged file carries the version that its path had before its first byte was read;
 * `#seenSeq` covers every change that any of the bytes read may include.
 */

import { DistinctPaths, spelledAlike } from '../../copy/files/spellings.js'
import type { NamedFile, VersionedPath } from '../../copy/files/types.js'
import type { RestoreManifest } from '../../copy/switch/manifest.js'
import { placeOf, stagingAreas } from '../../copy/switch/staging-areas.js'
import type { ObjectArea, ObjectSlice } from '../../interfaces/object-store.js'
import { fromPeer } from '../../protocol/fields.js'
import type { BulkAnswer } from '../bulk/client.js'
import type { ReadStretch } from '../bulk/messages.js'
import { fittingPaths } from '../bulk/messages.js'
import { type PackedStretch, unpack } from '../bulk/packed-content.js'
import { askForSnapshot } from './ask-for-snapshot.js'
import type { RestoreContext } from './context.js'
import { type IndexPage, pageOf } from './index-pages.js'
import type { RestoreProgress } from './plan.js'
import type { Batch } from './reads.js'
import { RestoreReads } from './reads.js'
import type { StagedFile } from './staging.js'
import { Staging } from './staging.js'
import { planRemovals } from './vault-replaced-files.js'

/** The shortest pause between two writes of the staging index, in milliseconds. */
const saveEveryMs = 1000
/**
 * The shortest pause between two writes of the staging index, as a multiple of the time that the
 * last one took.
 */
const savePause = 20
/** The shortest time between two reports of progress, in milliseconds. */
const progressEveryMs = 250

const read = fromPeer('an answer of the source')

/** The bytes that an answer has of a file, and where they are written. */
interface Piece {
  readonly file: StagedFile
  readonly area: ObjectArea
  readonly slice: ObjectSlice
}

/** The description of a stretch in an answer. */
interface FoundStretch extends PackedStretch {
  readonly version: number
  readonly size: number
  readonly mode: number
}

/** Undefined when the source has no such file. @throws `PROTOCOL_VIOLATION` */
function foundOf(stretch: ReadStretch, result: unknown): FoundStretch | undefined {
  if (result === null || result === undefined) return undefined
  const [start, length, version, size, mode, runs] = read.row(result, 'result')
  return {
    start: read.count(start, 'start'),
    length: read.count(length, 'length', stretch.length),
    version: read.count(version, 'version'),
    size: read.count(size, 'size'),
    mode: read.count(mode, 'mode'),
    runs: runs ?? undefined,
  }
}

export class Restore {
  readonly #context: RestoreContext
  #staging!: Staging
  readonly #install = new Map<string, StagedFile>()
  readonly #remove = new Map<string, number>()
  readonly #keep: VersionedPath[] = []
  readonly #states: { className: string; object: string; seq: number }[] = []
  readonly #reads: RestoreReads
  readonly #distinct = new DistinctPaths()
  #seenSeq: number
  #complete = false
  #tombstoneFloor = 0
  #progress: RestoreProgress = { phase: 'index', files: 0, filesTotal: 0, bytes: 0, bytesTotal: 0 }
  #reportedMs = Number.NEGATIVE_INFINITY
  #saving: Promise<void> | undefined
  #nextSaveMs = 0

  constructor(context: RestoreContext) {
    this.#context = context
    const { bulk, clock, signal, bytesPerSecondMax } = context
    const store = (batch: Batch, answer: BulkAnswer): Promise<void> => this.#store(batch, answer)
    this.#reads = new RestoreReads({ bulk, clock, signal, bytesPerSecondMax, store })
    this.#seenSeq = context.plan.cut.seq
  }

  /** Fetches everything without changing the copy. */
  async fetch(): Promise<RestoreManifest> {
    const { plan, storage, clock } = this.#context
    this.#nextSaveMs = clock.nowMs() + saveEveryMs
    this.#staging = await Staging.open(storage, plan.cut)
    this.#report('index', true)
    const suspects = this.#suspects()
    await this.#fetchIndex(suspects)
    await this.#fetchPaths(suspects)
    await this.#reads.flush()
    await this.#reads.settled()
    await this.#fetchStates()
    this.#report('switch', true)
    const manifest = this.#manifest()
    const remove = await planRemovals(this.#context, manifest)
    this.#requireOwnPlaces(remove)
    return { ...manifest, remove }
  }

  /** Resolves when the new journal has every change that the fetched bytes may include. */
  async untilJournaled(journaledSeq: () => number): Promise<void> {
    const { clock, signal } = this.#context
    while (journaledSeq() < this.#seenSeq) {
      signal.throwIfAborted()
      await new Promise<void>((resolve) => clock.setTimer(2, resolve))
    }
  }

  async clean(): Promise<void> {
    await this.#saving
    await this.#staging.clean()
    this.#report('done', true)
  }

  /**
   * Paths whose content on this disk cannot be trusted: changed after the common position, or found
   * different at the start.
   */
  #suspects(): Set<string> {
    const { copy, plan, outside } = this.#context
    if (plan.method === 'full') return new Set()
    const suspects = new Set<string>()
    const own = copy.index.changedSince(plan.commonSeq)
    for (const file of own.files) suspects.add(file.path)
    for (const removal of own.removed) suspects.add(removal.path)
    for (const entry of outside.unknown) suspects.add(entry.path)
    for (const entry of outside.differing) suspects.add(entry.path)
    for (const path of outside.missing) suspects.add(path)
    return suspects
  }

  async #fetchIndex(suspects: ReadonlySet<string>): Promise<void> {
    const { bulk, plan, copy } = this.#context
    const forgotten = copy.index.tombstoneFloor > plan.commonSeq
    const sinceSeq = plan.method === 'full' || forgotten ? 0 : plan.commonSeq
    const ask = (from: number): Promise<IndexPage> => {
      const page = bulk.request({ op: 'index', sinceSeq, paths: [], from }, pageOf)
      // The page's failure is reported when it is awaited.
      page.catch(() => undefined)
      return page
    }
    const first = await ask(0)
    this.#complete = first.complete
    this.#tombstoneFloor = first.tombstoneFloor
    const { filesTotal, bytesTotal } = first
    this.#progress = { ...this.#progress, filesTotal, bytesTotal }
    // Request each page before the files of the page before it, because answers come in the order
    // of requests.
    for (let page: IndexPage | undefined = first; page !== undefined; ) {
      const next: Promise<IndexPage> | undefined = page.next > 0 ? ask(page.next) : undefined
      await this.#planPage(page, suspects)
      page = await next
    }
  }

  /** Asks for the source's state of the suspect paths that its listing did not include. */
  async #fetchPaths(suspects: ReadonlySet<string>): Promise<void> {
    const { bulk, plan } = this.#context
    const left = [...suspects].filter((path) => !this.#install.has(path) && !this.#remove.has(path))
    for (let at = 0; at < left.length; ) {
      const paths = fittingPaths(left, at, bulk.room)
      const request = { op: 'index', sinceSeq: plan.commonSeq, paths, from: 0 } as const
      const page = await bulk.request(request, pageOf)
      await this.#planPage(page, suspects)
      // The source may have lower limits and answer fewer paths than requested.
      at += page.next > 0 ? page.next : paths.length
    }
  }

  async #planPage(page: IndexPage, suspects: ReadonlySet<string>): Promise<void> {
    const { claims } = this.#context
    for (const { path, version } of page.removed) if (claims(path)) this.#remove.set(path, version)
    for (const file of page.files) if (claims(file.path)) await this.#planFile(file, suspects)
  }

  async #planFile(file: NamedFile, suspects: ReadonlySet<string>): Promise<void> {
    const { copy, plan, signal } = this.#context
    signal.throwIfAborted()
    this.#reads.throwFailure()
    this.#requireOwnPlace(file.path)
    const own = copy.index.get(file.path)
    const same = own?.version === file.version && file.version <= plan.commonSeq
    if (same && plan.method !== 'full' && !suspects.has(file.path)) {
      if (this.#complete) this.#keep.push({ path: file.path, version: file.version })
      this.#count(1, file.size)
      return
    }
    const staged = this.#staging.files.get(file.path)
    if (staged !== undefined && staged.version === file.version) {
      if (staged.mode !== file.mode) await this.#setMode(staged, file.mode)
      this.#install.set(file.path, staged)
      this.#count(0, staged.bytes)
      if (staged.done) return this.#count(1, 0)
      return this.#reads.ask(staged, file.size)
    }
    const fresh = this.#staging.begin(file.path, file.version, file.mode)
    this.#install.set(file.path, fresh)
    await this.#reads.ask(fresh, file.size)
  }

  /**
   * Called before the first byte is staged. @throws `PATH_CONFLICT` when this storage would treat
   * the path as that of another file of the source
   */
  #requireOwnPlace(path: string): void {
    if (this.#context.storage.tree.foldsCase !== true) return
    const other = this.#distinct.add(path)
    if (other !== undefined) throw spelledAlike(path, other)
  }

  /** The same check for the files that the restore leaves unchanged. */
  #requireOwnPlaces(remove: readonly VersionedPath[]): void {
    const gone = new Set(remove.map(({ path }) => path))
    for (const path of this.#context.copy.files.list()) {
      if (!gone.has(path)) this.#requireOwnPlace(path)
    }
  }

  /** Changes the mode of a file that arrived, completely or in part, with another one. */
  async #setMode(file: StagedFile, mode: number): Promise<void> {
    file.mode = mode
    const { area, name } = placeOf(file)
    if (area !== 'incoming') return
    const slice = { name, offset: file.written, start: 0, length: 0, mode }
    await this.#context.storage.objects.write(area, new Uint8Array(0), [slice])
  }

  async #store(batch: Batch, answer: BulkAnswer): Promise<void> {
    const body = read.fields(answer.body, 'answer')
    const results = read.list(body.results, 'results', batch.files.length)
    this.#seenSeq = Math.max(this.#seenSeq, read.count(body.seq, 'seq'))
    const found: (FoundStretch | undefined)[] = batch.stretches.map((stretch, at) =>
      foundOf(stretch, results[at]),
    )
    const { bytes, starts } = unpack(
      answer.bytes,
      found.filter((one) => one !== undefined),
    )
    const pieces: Piece[] = []
    let next = 0
    for (const [at, file] of batch.files.entries()) {
      const one = found[at]
      const stretch = batch.stretches[at]
      if (stretch === undefined) continue
      if (one === undefined) {
        this.#drop(file)
        continue
      }
      pieces.push(this.#pieceOf(file, stretch, { ...one, start: starts[next] ?? 0 }))
      next += 1
    }
    const writes = stagingAreas.map((area) => {
      const slices = pieces.filter((piece) => piece.area === area).map(({ slice }) => slice)
      if (slices.length === 0) return undefined
      return this.#context.storage.objects.write(area, bytes, slices)
    })
    await Promise.all(writes)
    // Writes may overtake each other; bytes after a gap do not count, and are fetched again after a
    // restart.
    for (const { file, slice } of pieces) {
      if (file.written === slice.offset) file.written += slice.length
    }
    this.#saveSoon()
  }

  /** Saves the staging index for a restart, while the transfer continues. */
  #saveSoon(): void {
    const { clock } = this.#context
    const fromMs = clock.nowMs()
    if (this.#saving !== undefined || fromMs < this.#nextSaveMs) return
    this.#saving = this.#staging
      .save()
      // If the storage cannot make it durable, the switch fails as well and reports it.
      .catch(() => undefined)
      .then(() => {
        const nowMs = clock.nowMs()
        this.#nextSaveMs = nowMs + Math.max(saveEveryMs, savePause * (nowMs - fromMs))
        this.#saving = undefined
      })
  }

  /** Called after the end of the restore: resolves when nothing is written any more. */
  async settled(): Promise<void> {
    await this.#saving
  }

  /** The source has removed the file since; the entries after the cut remove it here as well. */
  #drop(file: StagedFile): void {
    this.#install.delete(file.path)
    this.#staging.files.delete(file.path)
    file.done = true
  }

  #pieceOf(file: StagedFile, stretch: ReadStretch, found: FoundStretch): Piece {
    const { start, length, version, size, mode } = found
    file.mode = mode & 0o777
    file.bytes = stretch.offset + length
    // The file changed while it was read. The entries after the cut repair it, but its bytes are
    // not those of its version.
    if (version !== file.version) this.#staging.files.set(file.path, { ...file, version: -1 })
    const last = file.bytes >= size || length < stretch.length
    if (last && !file.done) {
      file.done = true
      this.#count(1, length)
    } else {
      this.#count(0, length)
    }
    const { area, name } = placeOf(file)
    const slice = { name, offset: stretch.offset, start, length }
    return { file, area, slice: area === 'incoming' ? { ...slice, mode: file.mode } : slice }
  }

  async #fetchStates(): Promise<void> {
    const { bulk, storage, stateClasses } = this.#context
    this.#report('state', true)
    for (const className of stateClasses) {
      const { bytes: size, seq } = await askForSnapshot(this.#context, className)
      const object = `s${this.#states.length}`
      await storage.objects.remove('staging', [object])
      for (let offset = 0; offset < size; ) {
        const request = {
          op: 'stateRead',
          className,
          offset,
          length: this.#reads.batchBytes,
        } as const
        offset += await bulk.request(request, async ({ bytes: { length }, bytes }) => {
          if (length === 0) throw read.bad('bytes')
          this.#count(0, length)
          await storage.objects.write('staging', bytes, [
            { name: object, offset, start: 0, length },
          ])
          return length
        })
      }
      this.#states.push({ className, object, seq })
      this.#seenSeq = Math.max(this.#seenSeq, seq)
    }
  }

  /** The manifest as the source describes it; removals are decided from it. */
  #manifest(): RestoreManifest {
    const { plan } = this.#context
    const install = [...this.#install.values()].map((file) => {
      const { path, object, mode, bytes, version } = file
      return { path, object, mode, size: bytes, version }
    })
    const { restoreId, cut, inSync } = plan
    const states = this.#states
    const complete = this.#complete || plan.method === 'full'
    const keep = this.#keep
    const remove = [...this.#remove].map(([path, version]) => ({ path, version }))
    const tombstoneFloor = complete ? this.#context.plan.cut.seq : this.#tombstoneFloor
    return {
      version: 1,
      restoreId,
      base: cut,
      inSync,
      install,
      remove,
      states,
      complete,
      keep,
      tombstoneFloor,
    }
  }

  #count(files: number, bytes: number): void {
    const { filesTotal, bytesTotal } = this.#progress
    const done = { files: this.#progress.files + files, bytes: this.#progress.bytes + bytes }
    this.#progress = {
      phase: 'files',
      ...done,
      filesTotal: Math.max(filesTotal, done.files),
      bytesTotal: Math.max(bytesTotal, done.bytes),
    }
    this.#report('files', false)
  }

  #report(phase: RestoreProgress['phase'], always: boolean): void {
    const now = this.#context.clock.nowMs()
    if (!always && now - this.#reportedMs < progressEveryMs) return
    this.#reportedMs = now
    this.#context.progress({ ...this.#progress, phase })
  }
}
