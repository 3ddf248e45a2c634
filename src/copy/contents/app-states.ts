/**
 * The classes of application state: applies their changes in order and keeps their snapshots.
 *
 * Invariants: a change is applied once in a process, in the order of the journal; a stored snapshot
 * contains no change that is not durable in the journal.
 */

import { copyPlain, requirePlain, snapshotDepthMax } from '../../changes/plain-value.js'
import type { UpdateRun } from '../../changes/update-run.js'
import { HotspareError, whatHappened } from '../../errors.js'
import type { AnyAppStateClass, StatePosition } from '../../policy/kinds/app-state.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { encode } from '../../protocol/codec.js'
import { fromDisk } from '../../protocol/fields.js'
import type { CopyEvent, StateSnapshot, UpdateResult } from './types.js'
import { snapshotBytesMax } from './types.js'

/** A class of application state while the copy is open. */
export interface StateSlot {
  readonly name: string
  readonly hooks: AnyAppStateClass
  /** The last change in the application's state. */
  appliedSeq: number
  /**
   * The change up to which the state is stored, as a snapshot or as nothing if it never changed.
   */
  coveredSeq: number
  /** Bytes of changes since then. */
  movedBytes: number
  /** Bytes of the stored snapshot. */
  snapshotBytes: number
  /** Whether a snapshot is stored. */
  isStored: boolean
  /** Whether the application has been given anything by this process. */
  wasChanged: boolean
  /** Why the last attempt to take or store a snapshot failed, and whether a snapshot was taken. */
  failure: { readonly error: HotspareError; readonly wasTaken: boolean } | undefined
  /** Why the state could not be rebuilt; undefined when it was. */
  lost: string | undefined
}

/**
 * Bytes around a stored snapshot; a document longer than the longest snapshot and this is read as
 * damaged.
 */
const envelopeBytesMax = 1024

const read = fromDisk('a stored state')

/** Snapshots are not written for fewer changed bytes than this, except at the end of a run. */
const movedBytesMin = 1024 * 1024

/** @throws `VALUE_INVALID`, `WRITE_TOO_LARGE`, TypeError */
function encodeSnapshot(value: unknown, limit: number): Uint8Array {
  if (isThenable(value)) {
    value.then(undefined, () => undefined)
    throw new TypeError('snapshot() returned a promise, and must return the state itself')
  }
  requirePlain(value, 'it', snapshotDepthMax)
  const bytes = encode(value)
  if (bytes.length <= limit) return bytes
  const what = `it has ${bytes.length} bytes, above the limit of ${limit}`
  throw new HotspareError('WRITE_TOO_LARGE', what, { details: { limit, actual: bytes.length } })
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}

/**
 * The name of a state's document. Names have no capitals, so a capital becomes a dot and the small
 * letter.
 */
export function stateDocument(className: string): string {
  return `state/${className.replace(/[A-Z]/g, (letter) => `.${letter.toLowerCase()}`)}`
}

export function encodeState(snapshot: StateSnapshot): Uint8Array {
  return encode([1, snapshot.seq, snapshot.bytes])
}

export function decodeState(document: Uint8Array): StateSnapshot {
  const bytesMax = snapshotBytesMax + envelopeBytesMax
  const [version, seq, bytes] = read.list(read.decode(document, { bytesMax }), 'state')
  if (version !== 1) {
    throw new HotspareError(
      'STORAGE_FORMAT',
      `a stored state has format version ${String(version)}`,
    )
  }
  return { seq: read.count(seq, 'seq'), bytes: read.bytes(bytes, 'bytes') }
}

/**
 * A copy of a result for its caller, because what `apply` returned may be part of the state or of
 * the entry.
 */
export function ownResult(result: UpdateResult): UpdateResult {
  if (result?.ok !== true || typeof result.value !== 'object') return result
  return { ok: true, value: copyPlain(result.value) }
}

export class AppStates {
  readonly #slots = new Map<string, StateSlot>()
  readonly #bytesMax: number
  readonly #emit: (event: CopyEvent) => void

  constructor(policy: SyncPolicy, bytesMax: number, emit: (event: CopyEvent) => void) {
    this.#bytesMax = bytesMax
    this.#emit = emit
    for (const { name, declaration } of policy.stateClasses()) {
      this.#slots.set(name, {
        name,
        hooks: declaration,
        appliedSeq: 0,
        coveredSeq: 0,
        movedBytes: 0,
        snapshotBytes: 0,
        isStored: false,
        wasChanged: false,
        failure: undefined,
        lost: undefined,
      })
    }
  }

  get slots(): IterableIterator<StateSlot> {
    return this.#slots.values()
  }

  /** The classes that need a restore. */
  get lost(): string[] {
    return [...this.slots].filter(({ lost }) => lost !== undefined).map(({ name }) => name)
  }

  /** The classes whose last snapshot failed. */
  get failures(): { readonly className: string; readonly reason: string }[] {
    return [...this.slots].flatMap(({ name, failure }) =>
      failure === undefined ? [] : [{ className: name, reason: whatHappened(failure.error) }],
    )
  }

  /** Applies a change, unless the state has it already. Undefined for an unknown class. */
  apply(
    className: string,
    value: unknown,
    position: StatePosition,
    bytes: number,
  ): UpdateResult | 'unknown' {
    const slot = this.#slots.get(className)
    if (slot === undefined) return 'unknown'
    if (position.seq <= slot.appliedSeq || slot.lost !== undefined) return undefined
    slot.movedBytes += bytes
    slot.wasChanged = true
    try {
      return { ok: true, value: slot.hooks.apply(value, position) }
    } catch (error) {
      return { ok: false, error }
    }
  }

  /**
   * Applies the updates of a run that the state does not have yet, and adds the result of each to
   * `results`. False for an unknown class.
   */
  applyRun(
    run: UpdateRun,
    epoch: number,
    firstSeq: number,
    bytesEach: number,
    results: UpdateResult[] | undefined,
  ): boolean {
    const { className } = run
    if (!this.#slots.has(className)) return false
    run.forEach((value, index) => {
      const result = this.apply(className, value, { epoch, seq: firstSeq + index }, bytesEach)
      if (result !== 'unknown') results?.push(ownResult(result))
    })
    return true
  }

  /**
   * The encoded state of a class. `seq` is that of the last applied entry.
   *
   * @throws `SNAPSHOT_FAILED` when the application returned nothing that can be stored
   */
  snapshot(className: string, seq: number): StateSnapshot {
    const slot = this.#slots.get(className)
    if (slot === undefined) {
      throw new HotspareError('CLASS_UNKNOWN', `the policy has no state class '${className}'`)
    }
    try {
      const bytes = encodeSnapshot(slot.hooks.snapshot(), this.#bytesMax)
      if (slot.failure?.wasTaken === false) slot.failure = undefined
      return { bytes, seq: Math.max(seq, slot.appliedSeq) }
    } catch (error) {
      throw this.fail(slot, error, false)
    }
  }

  /**
   * Records that a snapshot could not be taken or stored. The stored one is kept with the journal
   * after it. The same failure is reported once.
   */
  fail(slot: StateSlot, cause: unknown, wasTaken: boolean): HotspareError {
    const { name } = slot
    const what = `the snapshot of '${name}' failed: ${whatHappened(cause)}`
    const details = { className: name }
    const error = new HotspareError('SNAPSHOT_FAILED', what, { cause, details })
    const isTold = slot.failure?.error.message === error.message
    slot.failure = { error, wasTaken }
    if (!isTold) this.#emit({ name: 'snapshotFailed', className: name, error })
    return error
  }

  /** Sets the position of the state, from which changes are counted. */
  startAt(slot: StateSlot, appliedSeq: number, coveredSeq: number): void {
    slot.appliedSeq = appliedSeq
    slot.coveredSeq = coveredSeq
    // What the application itself had stored is in no snapshot, even if it is little.
    slot.movedBytes = appliedSeq > coveredSeq ? 1 : 0
    slot.lost = undefined
  }

  /** Records that the snapshot is durable. */
  stored(slot: StateSlot, snapshot: StateSnapshot, movedBytes: number): void {
    slot.failure = undefined
    slot.isStored = true
    slot.movedBytes -= movedBytes
    slot.coveredSeq = snapshot.seq
    slot.snapshotBytes = snapshot.bytes.length
  }

  /** Passes a snapshot to the application. */
  async restore(slot: StateSlot, snapshot: StateSnapshot): Promise<void> {
    // Copied, because the application may keep it.
    const value = read.decode(snapshot.bytes, { bytesMax: snapshotBytesMax, copyBytes: true })
    try {
      await slot.hooks.restore(value)
    } catch (error) {
      // A failure of the application and not of the disk.
      const what = `restore() of the class '${slot.name}' threw: ${whatHappened(error)}`
      const details = { className: slot.name }
      throw new HotspareError('SNAPSHOT_FAILED', what, { cause: error, details })
    }
    slot.wasChanged = true
    slot.appliedSeq = snapshot.seq
    slot.snapshotBytes = snapshot.bytes.length
  }

  /**
   * Whether no snapshot is stored of a state that the application stores itself. Its store can be
   * ahead of what the journal keeps after a crash; without a snapshot no node could then rebuild
   * the state.
   */
  needsBase({ hooks, isStored }: StateSlot): boolean {
    return hooks.position !== undefined && !isStored
  }

  /**
   * Whether a snapshot should be stored now. The larger the last one was, the more changes are
   * required, so that the cost of large states is in proportion to their changes; `checkpointBytes`
   * limits what recovery replays.
   */
  isDue(slot: StateSlot, checkpointBytes: number, isLast: boolean): boolean {
    if (slot.lost !== undefined) return false
    if (this.needsBase(slot)) return true
    if (slot.movedBytes === 0) return false
    if (slot.hooks.position !== undefined) return slot.movedBytes > checkpointBytes
    if (isLast) return true
    const wanted = Math.max(movedBytesMin, slot.snapshotBytes)
    return slot.movedBytes >= Math.min(checkpointBytes, wanted)
  }
}
