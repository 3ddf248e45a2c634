/**
 * Reads versions of files that are no longer on the disk, because they were changed outside the
 * library, from the journal. A version can be had only if the journal contains the change that last
 * replaced the whole file.
 *
 * Invariant: at most `heldBytesMax` of contents are in memory, plus those of one file.
 */

import type { FileChange } from '../changes/change.js'
import { changesOf, singlesOf } from '../changes/entry.js'
import { operationOf } from './contents/replicated-state.js'
import type { Layer } from './files/layers.js'
import { sizeAfter } from './files/layers.js'
import type { LocalCopy } from './local-copy.js'

/** A file of the history. */
export interface FileVersion {
  readonly path: string
  /** The size in bytes. */
  readonly size: number
  /** The sequence number of its last change. */
  readonly version: number
}

/** A version in the journal, as layers that are written over each other. */
export interface EarlierVersion extends FileVersion {
  readonly layers: readonly Layer[]
}

/**
 * Bytes of contents that are collected in one pass over the journal; files that do not fit wait for
 * another pass.
 */
const heldBytesMax = 32 * 1024 * 1024
/** Bytes that are read from the journal at a time. */
const chunkBytes = 1024 * 1024

interface Collected {
  readonly wanted: FileVersion
  layers: Layer[]
  bytes: number
  /** Whether `layers` contains the whole file. */
  whole: boolean
  size: number
  seq: number
}

/**
 * The available versions, in groups that fit into memory. `mayGoOn` is called between the chunks of
 * the journal, and throws when there is no time left.
 */
export async function* earlierVersions(
  copy: LocalCopy,
  wanted: readonly FileVersion[],
  mayGoOn: () => void,
): AsyncGenerator<EarlierVersion[]> {
  for (let left = wanted; left.length > 0; ) {
    const pass = new Pass(left, copy.firstSeq === 1)
    await pass.read(copy, mayGoOn)
    yield pass.found()
    left = pass.deferred
  }
}

class Pass {
  readonly #files = new Map<string, Collected>()
  readonly #lastSeq: number
  #bytes = 0
  /** The files that did not fit into memory. */
  readonly deferred: FileVersion[] = []

  /**
   * `fromStart`: whether the journal starts with the first change, before which there were no
   * files.
   */
  constructor(wanted: readonly FileVersion[], fromStart: boolean) {
    let lastSeq = 0
    for (const one of wanted) {
      lastSeq = Math.max(lastSeq, one.version)
      const nothing = { layers: [], bytes: 0, whole: fromStart, size: 0, seq: 0 }
      this.#files.set(one.path, { wanted: one, ...nothing })
    }
    this.#lastSeq = lastSeq
  }

  async read(copy: LocalCopy, mayGoOn: () => void): Promise<void> {
    const pin = copy.pin(copy.firstSeq - 1)
    const reader = copy.reader(copy.firstSeq - 1)
    try {
      for (;;) {
        mayGoOn()
        const entries = await reader.next(chunkBytes)
        if (entries.length === 0) return
        for (const entry of entries) {
          if (entry.header.firstSeq > this.#lastSeq) return
          if (entry.header.kind !== 'changes') continue
          for (const [at, change] of changesOf(entry).entries()) {
            for (const single of singlesOf(change)) {
              if (single.kind !== 'update') this.#take(single, entry.header.firstSeq + at)
            }
          }
        }
      }
    } finally {
      reader.close()
      pin.release()
    }
  }

  #take(change: FileChange, seq: number): void {
    const file = this.#files.get(change.path)
    if (file === undefined || seq > file.wanted.version) return
    const isNew = change.kind === 'put' || change.kind === 'remove'
    if (isNew) this.#drop(file, true)
    if (!file.whole) return
    const layer = layerOf(change)
    const bytes = 'bytes' in layer.operation ? layer.operation.bytes.length : 0
    file.layers.push(layer)
    file.size = sizeAfter(layer, file.size)
    file.seq = seq
    file.bytes += bytes
    this.#bytes += bytes
    if (this.#bytes > heldBytesMax && this.#bytes > file.bytes) {
      this.#drop(file, false)
      this.#files.delete(change.path)
      this.deferred.push(file.wanted)
    }
  }

  #drop(file: Collected, whole: boolean): void {
    this.#bytes -= file.bytes
    file.layers = []
    file.bytes = 0
    file.size = 0
    file.whole = whole
  }

  found(): EarlierVersion[] {
    const found: EarlierVersion[] = []
    for (const { wanted, layers, whole, size, seq } of this.#files.values()) {
      if (whole && seq === wanted.version && size === wanted.size) found.push({ ...wanted, layers })
    }
    return found
  }
}

/** The bytes are copied, because those of an entry would keep the whole chunk in memory. */
function layerOf(change: FileChange): Layer {
  const isStored = change.kind === 'put' || change.kind === 'patch'
  const blobBytes = isStored ? (change.blob?.bytes ?? 0) : 0
  const bytes = isStored && change.bytes !== undefined ? Buffer.from(change.bytes) : undefined
  return { operation: operationOf(change, bytes), blobBytes }
}
