/**
 * The objects of the vault: the area `vault` of the storage, counted towards its limit.
 *
 * Invariant: `bytes` counts the objects and what an attempt in progress has claimed.
 */

import { crc32 } from 'node:zlib'
import type { BlobRef, Change } from '../../changes/change.js'
import type { Entry } from '../../changes/entry.js'
import { changesOf } from '../../changes/entry.js'
import { HotspareError } from '../../errors.js'
import type { ObjectSlice } from '../../interfaces/object-store.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { TreeOperation } from '../../interfaces/tree-store.js'
import { inBatches } from '../../util/in-batches.js'
import type { LocalCopy } from '../local-copy.js'
import type { VaultedFile, VaultedState, VaultIncident } from './incident.js'
import { folderOf, incidentsPrefix } from './incident.js'

/** Bytes of a file that are copied at a time. */
const copyChunkBytes = 1024 * 1024
/** Files that are examined or copied in one call. */
export const filesPerBatch = 256

export class VaultObjects {
  readonly #storage: OpenStorage
  readonly #bytesMax: number
  #bytes = 0

  constructor(storage: OpenStorage, bytesMax: number) {
    this.#storage = storage
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Removes the objects that belong to no sealed incident, and counts the others. */
  async tidy(): Promise<void> {
    const { documents, objects } = this.#storage
    const sealed = new Set(await documents.list(incidentsPrefix))
    const left = new Set<string>()
    let bytes = 0
    for (const object of await objects.list('vault')) {
      const folder = object.name.slice(0, object.name.indexOf('/'))
      if (sealed.has(`${incidentsPrefix}${folder}`)) bytes += object.bytes
      else left.add(`${folder}/`)
    }
    if (left.size > 0) await objects.remove('vault', [...left])
    this.#bytes = bytes
  }

  /** All objects of an incident, by name. */
  async list(id: string): Promise<VaultedFile[]> {
    const found = await this.#storage.objects.list('vault', `${folderOf(id)}/`)
    return found.map(({ name, bytes }) => ({ path: name, object: name, bytes }))
  }

  /** Copies the segments of a journal into one object. */
  async keepSegments(
    object: string,
    area: string,
    segments: readonly { readonly name: string }[],
  ): Promise<VaultIncident['journal']> {
    const { logs } = this.#storage
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

  /**
   * Copies the entries after a position, as far as they can be read; `each` receives their changes.
   */
  async keepJournal(
    id: string,
    copy: LocalCopy,
    afterSeq: number,
    each: (entry: Entry, changes: readonly Change[]) => void,
  ): Promise<Pick<VaultIncident, 'journal' | 'damaged'>> {
    const object = `${folderOf(id)}/journal`
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
        for (const entry of entries)
          each(entry, entry.header.kind === 'changes' ? changesOf(entry) : [])
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

  async keepBlob(id: string, blob: BlobRef): Promise<void> {
    const { objects } = this.#storage
    const object = `${folderOf(id)}/blobs/${blob.id}`
    for (let offset = 0; offset < blob.bytes; ) {
      const chunk = await objects.read('blobs', blob.id, offset, copyChunkBytes)
      if (chunk.length === 0) break
      const { length } = chunk
      await this.#write(object, offset, chunk)
      offset += length
    }
  }

  /** Copies the states of the application in the copy. */
  async keepStates(
    id: string,
    copy: LocalCopy,
    classNames: readonly string[],
  ): Promise<VaultedState[]> {
    const states: VaultedState[] = []
    for (const [at, className] of classNames.entries()) {
      const { bytes } = await copy.stateSnapshot(className)
      const object = `${folderOf(id)}/states/${at}`
      for (let offset = 0; offset < bytes.length; offset += copyChunkBytes) {
        await this.#write(object, offset, bytes.slice(offset, offset + copyChunkBytes))
      }
      states.push({ className, object, bytes: bytes.length })
    }
    return states
  }

  /** Copies the present bytes of files; paths without a file are left out. */
  async keepTree(id: string, paths: readonly string[]): Promise<VaultedFile[]> {
    const { tree } = this.#storage
    const files: VaultedFile[] = []
    for (let at = 0; at < paths.length; at += filesPerBatch) {
      const batch = paths.slice(at, at + filesPerBatch)
      const stats = await tree.stat(batch)
      const operations: TreeOperation[] = []
      for (const [offset, path] of batch.entries()) {
        const stat = stats[offset]
        if (stat === undefined) continue
        this.#claim(stat.size)
        const object = `${folderOf(id)}/files/${at + offset}`
        files.push({ path, object, bytes: stat.size })
        operations.push({ kind: 'keep', path, area: 'vault', name: object, copy: true })
      }
      await tree.apply(operations)
    }
    return files
  }

  /** Writes the next bytes of an object. */
  write(name: string, offset: number, chunk: Uint8Array): Promise<void> {
    return this.#write(name, offset, chunk)
  }

  /** Writes many small objects in one call. */
  async writeWhole(
    objects: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  ): Promise<void> {
    if (objects.length === 0) return
    const buffer = Buffer.concat(objects.map(({ bytes }) => bytes))
    this.#claim(buffer.length)
    let start = 0
    const slices = objects.map(({ name, bytes: { length } }): ObjectSlice => {
      start += length
      return { name, offset: 0, start: start - length, length }
    })
    await this.#storage.objects.write('vault', buffer, slices)
  }

  async #write(name: string, offset: number, chunk: Uint8Array): Promise<void> {
    this.#claim(chunk.length)
    const slice: ObjectSlice = { name, offset, start: 0, length: chunk.length }
    await this.#storage.objects.write('vault', chunk, [slice])
  }

  #claim(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax) {
      throw new HotspareError(
        'VAULT_FULL',
        `the vault holds ${this.#bytes} bytes, ${bytes} more would pass its limit of ${this.#bytesMax}`,
      )
    }
    this.#bytes += bytes
  }

  /** Makes the objects of an incident durable; `between` is called during that. */
  async sync(id: string, between: () => void): Promise<void> {
    const names = (await this.list(id)).map(({ object }) => object)
    for (const batch of inBatches(names, filesPerBatch)) {
      between()
      await this.#storage.objects.sync('vault', batch)
    }
  }
}
