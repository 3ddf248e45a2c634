/**
 * What of a restore lies in the staging area: which object holds which path in which version. Kept in a document
 * from time to time, so that a restore goes on after a broken link or a restart of either side: an object whose path
 * still has the same version at the source is not fetched again.
 */
import type { OpenStorage } from '../../interfaces/storage.js'
import { decode, encode } from '../../protocol/codec.js'
import type { Extent } from '../position.js'
import { relate } from '../position.js'
import { extentOf, fieldsOf, listOf, seqOf, textOf } from '../stream/wire.js'

/** A file in the staging area. */
export interface StagedFile {
  readonly path: string
  readonly object: string
  /** The version the path had before its first byte was read. */
  readonly version: number
  mode: number
  bytes: number
  done: boolean
  /** Bytes from the start that are in the object; `bytes` counts from when they arrived. */
  written: number
}

const documentName = 'staging-index'
/** Files that a staging index may name. */
const stagedFilesMax = 4_000_000

export class Staging {
  readonly files: Map<string, StagedFile> = new Map()
  readonly #storage: OpenStorage
  readonly #base: Extent
  #nextObject = 1

  private constructor(storage: OpenStorage, base: Extent) {
    this.#storage = storage
    this.#base = base
  }

  /** Opens what an earlier attempt left, as far as it belongs to the history of `base`; the rest is removed. */
  static async open(storage: OpenStorage, base: Extent): Promise<Staging> {
    const staging = new Staging(storage, base)
    const known = await staging.#load().catch(() => undefined)
    const objects = await storage.objects.list('staging')
    const sizes = new Map(objects.map((object) => [object.name, object.bytes]))
    for (const file of known ?? []) {
      const bytes = sizes.get(file.object)
      if (bytes === undefined || bytes < file.bytes) continue
      staging.files.set(file.path, file)
      sizes.delete(file.object)
      staging.#nextObject = Math.max(staging.#nextObject, Number(file.object.slice(1)) + 1)
    }
    if (sizes.size > 0) await storage.objects.remove('staging', [...sizes.keys()])
    return staging
  }

  async #load(): Promise<StagedFile[]> {
    const bytes = await this.#storage.documents.read(documentName)
    if (bytes === undefined) return []
    const fields = fieldsOf(decode(bytes), 'staging')
    // Versions mean something only within one history.
    const relation = relate(extentOf(fields.base, 'base'), this.#base)
    if (relation.kind === 'unrelated') return []
    const files = listOf(fields.files, 'files', stagedFilesMax).map((one): StagedFile => {
      const [path, object, version, mode, size, done] = listOf(one, 'file', 6)
      return {
        path: textOf(path, 'path', 4096),
        object: textOf(object, 'object', 64),
        version: seqOf(version, 'version'),
        mode: seqOf(mode, 'mode'),
        bytes: seqOf(size, 'bytes'),
        done: done === true,
        written: seqOf(size, 'bytes'),
      }
    })
    return files.filter((file) => file.version <= relation.commonSeq)
  }

  /** A fresh object for a path; an older one of the path is forgotten. */
  begin(path: string, version: number, mode: number): StagedFile {
    const object = `f${this.#nextObject}`
    this.#nextObject += 1
    const file = { path, object, version, mode, bytes: 0, done: false, written: 0 }
    this.files.set(path, file)
    return file
  }

  /** Writes the index of what is in the staging area by now, once that is durable. */
  async save(): Promise<void> {
    // A version below zero marks bytes that are mended by the entries after the cut, in this attempt only.
    const kept = [...this.files.values()].filter((file) => file.version >= 0)
    const files = kept.map((file) => [
      file.path,
      file.object,
      file.version,
      file.mode,
      file.written,
      file.done && file.written === file.bytes,
    ])
    await this.#storage.objects.sync('staging')
    await this.#storage.documents.write(documentName, encode({ base: this.#base, files }))
  }

  /** Nothing is needed any more. */
  async clean(): Promise<void> {
    await this.#storage.documents.remove(documentName)
    const objects = await this.#storage.objects.list('staging')
    if (objects.length > 0)
      await this.#storage.objects.remove(
        'staging',
        objects.map(({ name }) => name),
      )
    this.files.clear()
  }
}
