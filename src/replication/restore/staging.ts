/**
 * Tracks what has arrived of a restore: which object has which path in which version. It is saved
 * in a document from time to time, so that a restore resumes after a broken link or a restart of
 * either side: an object whose path still has the same version at the source is not fetched again.
 *
 * Invariant: a file is staged in `incoming` under its path, unless another file, a folder or a file
 * above it in that area conflicts with the path; then it is an object of `staging`.
 */

import {
  clearAreas,
  keepOnly,
  placeOf,
  stagingAreas,
  syncPlaces,
} from '../../copy/switch/staging-areas.js'
import type { Extent } from '../../history/position.js'
import { relate } from '../../history/position.js'
import type { ObjectInfo, ObjectStore } from '../../interfaces/object-store.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import { encode } from '../../protocol/codec.js'
import { fromDisk, optional } from '../../protocol/fields.js'
import { foldPath } from '../../util/fold-path.js'

/** A file that is arriving. */
export interface StagedFile {
  readonly path: string
  /** The object of `staging`; undefined for one of `incoming`. */
  readonly object: string | undefined
  /** The version the path had before its first byte was read. */
  readonly version: number
  mode: number
  bytes: number
  done: boolean
  /**
   * Bytes from the start without a gap that are written to the object; `bytes` includes those that
   * are still being written.
   */
  written: number
}

const documentName = 'staging-index'
/**
 * Files that a staging index may name; one that names more is ignored, and the restore starts from
 * the beginning.
 */
const stagedFilesMax = 4_000_000
/**
 * Bytes that a staging index may have; a longer one is ignored, and the restore starts from the
 * beginning.
 */
const indexBytesMax: number = 2 ** 30

const read = fromDisk('the staging index')

export class Staging {
  readonly files: Map<string, StagedFile> = new Map()
  readonly #storage: OpenStorage
  readonly #base: Extent
  /**
   * All paths in use in `incoming`, needed or not. They are case-folded, because the storage may
   * treat two spellings as one file.
   */
  readonly #incoming = new Set<string>()
  readonly #folders = new Set<string>()
  #nextObject = 1

  private constructor(storage: OpenStorage, base: Extent) {
    this.#storage = storage
    this.#base = base
  }

  /**
   * Opens what an earlier attempt left, as far as it belongs to the history of `base`, and removes
   * the rest.
   */
  static async open(storage: OpenStorage, base: Extent): Promise<Staging> {
    const staging = new Staging(storage, base)
    const known = await staging.#load().catch(() => [])
    const unsound = await unsyncable(storage.objects, known)
    for (const area of stagingAreas) {
      const left = new Map((await storage.objects.list(area)).map((one) => [one.name, one]))
      for (const file of known) {
        if (placeOf(file).area === area && !unsound.has(file)) staging.#resume(file, left)
      }
      await keepOnly(storage.objects, area, (name) => !left.has(name))
    }
    return staging
  }

  /** Resumes a file of an earlier attempt if its object is long enough. */
  #resume(file: StagedFile, left: Map<string, ObjectInfo>): void {
    const { name } = placeOf(file)
    const found = left.get(name)
    if (found === undefined || found.bytes < file.bytes) return
    left.delete(name)
    this.files.set(file.path, file)
    if (file.object === undefined) this.#occupy(file.path)
    else this.#nextObject = Math.max(this.#nextObject, Number(file.object.slice(1)) + 1)
  }

  async #load(): Promise<StagedFile[]> {
    const bytes = await this.#storage.documents.read(documentName)
    if (bytes === undefined) return []
    const { base, files } = decodeStagingIndex(bytes)
    // Versions can be compared only within one history.
    const relation = relate(base, this.#base)
    if (relation.kind === 'unrelated') return []
    return files.filter((file) => file.version <= relation.commonSeq)
  }

  /** Begins a new object for a path and replaces an older one. */
  begin(path: string, version: number, mode: number): StagedFile {
    let object: string | undefined
    if (this.#isFree(path)) {
      this.#occupy(path)
    } else {
      object = `f${this.#nextObject}`
      this.#nextObject += 1
    }
    const file = { path, object, version, mode, bytes: 0, done: false, written: 0 }
    this.files.set(path, file)
    return file
  }

  /**
   * Whether `incoming` has nothing at the path in any spelling, nothing below it, and no file above
   * it.
   */
  #isFree(spelled: string): boolean {
    const path = foldPath(spelled)
    if (this.#incoming.has(path) || this.#folders.has(path)) return false
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const folder = path.slice(0, end)
      if (this.#folders.has(folder)) return true
      if (this.#incoming.has(folder)) return false
    }
    return true
  }

  #occupy(spelled: string): void {
    const path = foldPath(spelled)
    this.#incoming.add(path)
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const folder = path.slice(0, end)
      if (this.#folders.has(folder)) return
      this.#folders.add(folder)
    }
  }

  /** Makes durable what has arrived, then writes the index of it. */
  async save(): Promise<void> {
    // A negative version: the file changed while it was read. The entries of this attempt repair it
    // when they are replayed; a later attempt must fetch it again, so it is not recorded.
    const kept = [...this.files.values()].filter((file) => file.version >= 0)
    const files = kept.map((file) => [
      file.path,
      file.object ?? null,
      file.version,
      file.mode,
      file.written,
      file.done && file.written === file.bytes,
    ])
    await syncPlaces(this.#storage.objects, kept.map(placeOf))
    await this.#storage.documents.write(documentName, encode({ base: this.#base, files }))
  }

  /** Removes everything that was staged. */
  async clean(): Promise<void> {
    await this.#storage.documents.remove(documentName)
    await clearAreas(this.#storage.objects)
    this.files.clear()
  }
}

/** What {@link Staging.save} wrote. @throws `STORAGE_CORRUPT` */
export function decodeStagingIndex(bytes: Uint8Array): { base: Extent; files: StagedFile[] } {
  const fields = read.fields(read.decode(bytes, { bytesMax: indexBytesMax }), 'staging')
  const files = read.list(fields.files, 'files', stagedFilesMax).map((one): StagedFile => {
    const [path, object, version, mode, size, done] = read.list(one, 'file', 6)
    const written = read.count(size, 'bytes')
    return {
      path: read.text(path, 'path', 4096),
      object: optional(object, (name) => read.text(name, 'object', 64)),
      version: read.count(version, 'version'),
      mode: read.count(mode, 'mode'),
      bytes: written,
      done: done === true,
      written,
    }
  })
  return { base: read.extent(fields.base, 'base'), files }
}

/**
 * Files of an earlier attempt that cannot be made durable. They would make every switch fail, and
 * after a failed sync their bytes are unknown, so they are fetched again.
 */
async function unsyncable(
  objects: ObjectStore,
  files: readonly StagedFile[],
): Promise<Set<StagedFile>> {
  const failed = new Set<StagedFile>()
  try {
    await syncPlaces(objects, files.map(placeOf))
  } catch {
    for (const file of files) {
      await syncPlaces(objects, [placeOf(file)]).catch(() => failed.add(file))
    }
  }
  return failed
}
