/**
 * The target's side of a restore: the new journal beside the old one, and the switch to it.
 *
 * Invariant: `isPending` is true from when the manifest may be durable until the new copy is open.
 */

import type { Entry } from '../changes/entry.js'
import { partsOf } from '../changes/entry.js'
import { HotspareError, whatHappened } from '../errors.js'
import type { Extent, Term } from '../history/position.js'
import { relate } from '../history/position.js'
import { inBatches } from '../util/in-batches.js'
import { Listeners } from '../util/listeners.js'
import { Turns } from '../util/turns.js'
import { manifestOfFound } from './adopt-found.js'
import type { Contents } from './contents/replicated-state.js'
import { asStorageError } from './journal/errors.js'
import type { JournalFacts } from './journal/head.js'
import { Journal } from './journal/journal.js'
import type { LoadedCopy, LoadOptions } from './open-copy.js'
import { journalOptions, startJournal } from './open-copy.js'
import type { InstallState, RestoreManifest } from './switch/manifest.js'
import { encodeManifest, manifestName } from './switch/manifest.js'
import { nextArea, RollForward } from './switch/roll-forward.js'
import type { Place } from './switch/staging-areas.js'
import { clearAreas, placeOf, syncPlaces } from './switch/staging-areas.js'

/** The part of the copy that the switch uses. */
export interface SwitchHost {
  current(): LoadedCopy
  replace(loaded: LoadedCopy): void
  fail(error: HotspareError): void
}

/** Files that are examined in one call. */
const statPaths = 512
/**
 * How long reads wait while a restore moves its files into place, in milliseconds; then they are
 * refused with `RESTORE_UNDER_WAY`.
 */
const readsWaitMs = 10_000

const stateAt = ({ object }: InstallState): Place => ({ area: 'staging', name: object })

export class RestoreSwitch {
  readonly #options: LoadOptions
  readonly #host: SwitchHost
  #next: Journal | undefined
  /** An aborted attempt may still be running when the next one begins. */
  readonly #turns = new Turns()
  /** The manifest that is durable and not carried out yet. */
  #pending: RollForward | undefined
  /** Whether the write of a manifest failed, so that it may be durable or not. */
  #isInDoubt = false
  #isSwitching = false
  /** Set when the copy closes, so that no further switch begins. */
  #isEnded = false
  /** The number of switches that have begun to move files into place. */
  switches = 0
  /** Settles when the present move of files has ended, with or without success. */
  #finishing: Promise<void> | undefined
  /**
   * The switch in progress, from its first step to its last; it resolves with or without success.
   */
  #work: Promise<void> | undefined
  readonly #durable = new Listeners<[ordinal: number]>()
  lowestPeerSeq: number = Number.POSITIVE_INFINITY
  failed: HotspareError | undefined

  constructor(options: LoadOptions, host: SwitchHost) {
    this.#options = options
    this.#host = host
  }

  /**
   * Whether a switch has begun, which continues to its end even if the stream that brought the data
   * ends.
   */
  get isPending(): boolean {
    return this.#isSwitching || this.#pending !== undefined || this.#isInDoubt
  }

  get #contents(): Contents {
    return this.#options.contents
  }

  /** The new journal. */
  #open(): Journal {
    if (this.#next === undefined) throw new HotspareError('INTERNAL', 'no restore was begun')
    return this.#next
  }

  /** The last change in the new journal. */
  get nextSeq(): number {
    return this.#open().facts.seq
  }

  /** Called, synchronously, whenever the durable ordinal of the new journal moves. */
  onDurable(listener: (durableOrdinal: number) => void): () => void {
    this.#open()
    return this.#durable.add(listener)
  }

  /**
   * Creates a new journal beside the old one, at the position `base` of a source, with the facts
   * there.
   */
  begin(base: Extent, inSync?: readonly string[], ackedSeq: number = 0): Promise<void> {
    return this.#turns.run(() => this.#begin({ ...base, inSync, ackedSeq }))
  }

  async #begin(facts: JournalFacts): Promise<void> {
    await this.#next?.close()
    this.#next = undefined
    // A failure of the new journal ends the restore and not the copy.
    const options = { ...journalOptions(this.#options, nextArea, 0), onFailure: () => undefined }
    const next = await Journal.create(options, facts)
    next.onDurable((ordinal) => this.#durable.call(ordinal))
    this.#next = next
  }

  /** Appends the next entry to the new journal and returns its ordinal there. */
  append(entry: Entry): number {
    const next = this.#open()
    next.facts.requireNext(entry)
    // Decoded now, while a malformed entry can still be refused.
    if (entry.header.kind === 'changes') partsOf(entry)
    return next.append(entry)
  }

  async flush(): Promise<void> {
    await this.#open().flushed()
  }

  /** Closes the new journal and keeps its content on the disk, until the next `begin` or `drop`. */
  stop(): Promise<void> {
    return this.#turns.run(() => this.#stop())
  }

  async #stop(): Promise<void> {
    await this.#next?.close()
    this.#next = undefined
  }

  drop(): Promise<void> {
    return this.#turns.run(() => this.#drop())
  }

  async #drop(): Promise<void> {
    await this.#stop()
    const { logs } = this.#options.copy.storage
    const names = (await logs.list(nextArea)).map(({ name }) => name)
    if (names.length > 0) await logs.remove(nextArea, names)
  }

  /**
   * Makes a staged restore and the new journal the copy. Until the manifest is durable the old copy
   * is intact; from then on the switch is finished, here or by the next `open` or `reopen` of the
   * copy. All readers are closed.
   */
  async switchTo(manifest: RestoreManifest): Promise<void> {
    if (this.#isEnded) throw new HotspareError('STOPPED', 'the copy was closed')
    if (this.isPending) throw new HotspareError('INTERNAL', 'a switch is under way')
    const next = this.#open()
    this.#requireMatch(manifest, next)
    await this.#noted(this.#switchTo(manifest, next))
  }

  async #noted(work: Promise<void>): Promise<void> {
    const ended = work.catch(() => undefined)
    this.#work = ended
    try {
      await work
    } finally {
      if (this.#work === ended) this.#work = undefined
    }
  }

  /**
   * Prevents further switches. Resolves when none is in progress: each has ended, or failed and
   * waits for `retry`.
   */
  async end(): Promise<void> {
    this.#isEnded = true
    while (this.#work !== undefined) await this.#work
  }

  async #switchTo(manifest: RestoreManifest, next: Journal): Promise<void> {
    this.#isSwitching = true
    try {
      await next.flushed()
      await this.#requireKept(manifest)
      await this.#settleOld(manifest)
      await this.#stage(manifest)
      const { copy } = this.#options
      const { indexLog } = this.#host.current()
      this.#pending = new RollForward(copy, manifest, this.#contents, indexLog)
      await this.#finish(this.#pending)
    } finally {
      this.#isSwitching = false
      // The old copy stays in use, so it continues to make checkpoints.
      if (!this.isPending) this.#host.current().checkpointer.start()
    }
  }

  /**
   * The new journal has to continue the manifest; otherwise the copy would be the state of no
   * position.
   */
  #requireMatch(manifest: RestoreManifest, next: Journal): void {
    const { base, install, states } = manifest
    const { history, seq } = next.facts
    const relation = relate({ history, seq }, base).kind
    const isOn = base.seq === 0 || relation === 'equal' || relation === 'ahead'
    if (!isOn || next.firstSeq !== base.seq + 1) {
      throw new HotspareError('RESTORE_FAILED', 'the new journal does not begin at the cut')
    }
    const needed = Math.max(0, ...states.map((state) => state.seq))
    let newest = needed
    for (const { version } of install) if (version > newest) newest = version
    if (newest > seq) {
      throw new HotspareError(
        'RESTORE_FAILED',
        `the new journal ends at ${seq}, and what was restored needs it up to ${newest}`,
      )
    }
  }

  async #requireKept(manifest: RestoreManifest): Promise<void> {
    const keep = (manifest.keep ?? []).map(({ path }) => path)
    const { tree } = this.#options.copy.storage
    for (const batch of inBatches(keep, statPaths)) {
      const stats = await tree.stat(batch)
      const missing = stats.indexOf(undefined)
      if (missing < 0) continue
      throw new HotspareError('RESTORE_FAILED', `'${batch[missing]}' is gone meanwhile`)
    }
  }

  /** Makes the index on disk exact, so that a crash during the switch finds the same one. */
  async #settleOld(manifest: RestoreManifest): Promise<void> {
    const { journal, checkpointer } = this.#host.current()
    try {
      await journal.flushed()
      await this.#contents.applier.settled()
      await checkpointer.run(false)
    } catch (error) {
      // A delta restore builds on the files of the old copy, and removes the journal that could
      // still repair them. The next attempt begins with `reopen`, which repeats what failed here.
      // If the journal is damaged, a complete restore follows anyway.
      if (!manifest.complete) throw this.#unsettled(error)
    } finally {
      await checkpointer.stop()
    }
    await this.#syncKept(manifest)
  }

  /**
   * Makes kept files durable before the manifest, which removes the journal that could repeat their
   * changes. A system that once failed to sync a file may have dropped its bytes and still report
   * success the next time.
   */
  async #syncKept({ keep = [] }: RestoreManifest): Promise<void> {
    if (keep.length === 0) return
    try {
      await this.#options.copy.storage.tree.sync('all')
    } catch (error) {
      // Not as a failed restore: only a new process can write again what the system dropped.
      throw asStorageError(error)
    }
  }

  #unsettled(cause: unknown): HotspareError {
    const why = 'the copy that the restore builds on could not be made durable'
    return new HotspareError('RESTORE_FAILED', why, { cause })
  }

  async #stage(manifest: RestoreManifest): Promise<void> {
    const { objects, documents } = this.#options.copy.storage
    await syncPlaces(objects, [...manifest.install.map(placeOf), ...manifest.states.map(stateAt)])
    try {
      await documents.write(manifestName, encodeManifest(manifest))
    } catch (error) {
      this.#isInDoubt = true
      this.failed = asStorageError(error)
      await this.#withdraw().catch(() => this.#host.fail(asStorageError(error)))
      throw error
    }
  }

  /** Ensures that a manifest whose write failed does not exist. */
  async #withdraw(): Promise<void> {
    await this.#options.copy.storage.documents.remove(manifestName)
    this.#isInDoubt = false
    this.failed = undefined
  }

  /**
   * Resolves when the files are in place; undefined while no switch moves any.
   *
   * @throws `RESTORE_UNDER_WAY` when that takes too long, or waits for a failed disk
   */
  settled(): Promise<void> | undefined {
    if (this.#pending === undefined) return undefined
    const { clock } = this.#options.copy
    const refused = (): HotspareError => {
      const why = this.failed === undefined ? 'it takes long' : whatHappened(this.failed)
      return new HotspareError('RESTORE_UNDER_WAY', why, { cause: this.failed })
    }
    if (this.#finishing === undefined) return Promise.reject(refused())
    const finishing = this.#finishing
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(readsWaitMs, () => reject(refused()))
      void finishing.then(() => {
        clock.clearTimer(timer)
        resolve()
      })
    })
  }

  async #finish(pending: RollForward): Promise<void> {
    this.switches += 1
    const work = this.#replace(pending)
    const finishing = work.then(
      () => undefined,
      () => undefined,
    )
    this.#finishing = finishing
    try {
      await work
    } finally {
      this.#finishing = undefined
    }
  }

  async #replace(pending: RollForward): Promise<void> {
    try {
      await this.#next?.close()
      this.#next = undefined
      const { journal, indexLog } = this.#host.current()
      await journal.close()
      await this.#contents.applier.stop()
      const checkpoint = await pending.run()
      const ordinal = journal.lastOrdinal
      const loaded = await startJournal(this.#options, { checkpoint, indexLog, ordinal })
      await pending.removeOldBlobs()
      loaded.checkpointer.lowestPeerSeq = this.lowestPeerSeq
      this.#pending = undefined
      this.failed = undefined
      this.#host.replace(loaded)
    } catch (error) {
      this.failed = asStorageError(error)
      this.#host.fail(this.failed)
      throw this.failed
    }
  }

  /** Continues a failed switch. */
  async retry(): Promise<void> {
    if (this.#isInDoubt) {
      await this.#withdraw()
      this.#host.current().checkpointer.start()
    }
    if (this.#pending === undefined) return
    await this.#noted(this.#goOn(this.#pending))
  }

  async #goOn(pending: RollForward): Promise<void> {
    this.#isSwitching = true
    try {
      await this.#finish(pending)
    } finally {
      this.#isSwitching = false
    }
  }

  /** Adopts existing files and state as the first change of a new history. */
  async adopt(term: Term): Promise<void> {
    const { journal } = this.#host.current()
    if (journal.facts.seq !== 0) {
      throw new HotspareError('INTERNAL', 'only a copy without changes can adopt files')
    }
    const { epoch, nodeId, bootId } = term
    const base = { history: [{ epoch, nodeId, bootId, firstSeq: 1 }], seq: 1 }
    const restoreId = `adopt-${epoch}`
    // Leftovers of an unfinished restore would otherwise be moved over the adopted files.
    await clearAreas(this.#options.copy.storage.objects)
    await this.begin(base)
    await this.switchTo(await manifestOfFound(this.#options, restoreId, base))
  }

  async close(): Promise<void> {
    await this.#next?.close()
    this.#next = undefined
  }
}
