/**
 * Storage in memory, for tests, simulations and nodes without persistence. Its content belongs to
 * the object that `memory()` returns and survives every opening, so that a node can be stopped and
 * started again on it. It can simulate a crash: what was not durable is then kept, lost or torn, as
 * on a real disk.
 *
 * @example
 * ```ts
 * import { memory } from 'hotspare/storage/memory'
 *
 * const storage = memory()
 * const first = await storage.open({ nodeId: 'alpha', bootId: 'b1' })
 * await first.documents.write('meta', new Uint8Array([1, 2, 3]))
 * await first.close()
 *
 * const second = await storage.open({ nodeId: 'alpha', bootId: 'b2' })
 * await second.documents.read('meta') // the three bytes
 * ```
 *
 * @packageDocumentation
 */

import { HotspareError } from '../errors.js'
import type { Clock } from '../interfaces/clock.js'
import type { ObjectArea } from '../interfaces/object-store.js'
import type { Random } from '../interfaces/random.js'
import type { OpenStorage, Storage, StorageOwner } from '../interfaces/storage.js'
import type { FileStat } from '../interfaces/tree-store.js'
import { Bytes, flip, toss } from './memory/bytes.js'
import { Content, objectKey } from './memory/content.js'
import { MemoryDocuments } from './memory/documents.js'
import { MemoryLogs } from './memory/logs.js'
import { MemoryObjects } from './memory/objects.js'
import { type MemoryFaults, Runner } from './memory/runner.js'
import { MemoryTree } from './memory/tree.js'
import { checkTreePath } from './names.js'

export type { MemoryFailure, MemoryFaults, MemoryOperation } from './memory/runner.js'

/** Options of {@link memory}. */
export interface MemoryOptions {
  /** The clock for `faults.latency` and for the modification times of files. Default: none. */
  readonly clock?: Clock
  /** Does not track what is durable; a crash then loses only the calls under way. Default false. */
  readonly fast?: boolean
  /**
   * Treats paths of files that differ only in upper and lower case as one, like macOS and Windows.
   * Default false.
   */
  readonly foldsCase?: boolean
}

/** What {@link MemoryStorage.flipBit} damages. */
export type FlipTarget =
  | {
      /** A document. */
      readonly kind: 'document'
      /** Its name. */
      readonly name: string
    }
  | {
      /** A log. */
      readonly kind: 'log'
      /** Its area, for example `journal`. */
      readonly area: string
      /** Its name within the area. */
      readonly name: string
    }
  | {
      /** An object. */
      readonly kind: 'object'
      /** Its area. */
      readonly area: ObjectArea
      /** Its name within the area. */
      readonly name: string
    }
  | {
      /** A file of the tree. */
      readonly kind: 'file'
      /** Relative to the root. */
      readonly path: string
    }

/**
 * The files as another program accesses them: without a lock, and with changes that are durable at
 * once.
 */
export interface OutsideFiles {
  /** All paths, sorted. */
  list(): string[]
  /** The bytes of a file, or undefined. */
  read(path: string): Uint8Array | undefined
  /** The permission bits of a file, or undefined. */
  mode(path: string): number | undefined
  /** Size, permission bits, time and inode of a file, or undefined. */
  stat(path: string): FileStat | undefined
  /** Replaces a file; files in the place of its folders are removed. */
  write(path: string, bytes: Uint8Array, mode?: number): void
  /** Removes a file; removing nothing is no error. */
  remove(path: string): void
}

/** Storage in memory, with controls for tests. */
export interface MemoryStorage extends Storage {
  /** The faults to inject; may be changed at any time. */
  readonly faults: MemoryFaults
  /** The files as other programs see them. */
  readonly outside: OutsideFiles
  /** The owner that has it open; undefined when it is closed. */
  readonly owner: StorageOwner | undefined
  /**
   * Simulates a crash of the machine. Calls under way are done in part or not at all; what was not
   * durable is kept, lost or torn at random, unless only the process died. The lock is released,
   * and the open storage refuses all calls.
   *
   * @param random - source of the random decisions
   * @param options - `powerCut: false` crashes the process only, which loses nothing that was
   *   written. Default true.
   */
  crash(random: Random, options?: { readonly powerCut?: boolean }): void
  /** Flips one bit of the stored bytes. False when there are none. */
  flipBit(target: FlipTarget, random: Random): boolean
  /** A copy of everything that is stored, like an image of the device. */
  image(): MemoryImage
  /**
   * Replaces the content by an image, or by nothing.
   *
   * @throws `STORAGE_LOCKED` while it is open
   */
  replace(image?: MemoryImage): void
}

declare const imageBrand: unique symbol

/** An image from {@link MemoryStorage.image}. It never changes. */
export interface MemoryImage {
  /** Only {@link MemoryStorage.image} makes one. */
  readonly [imageBrand]: true
}

/** Makes a storage in memory. */
export function memory(options: MemoryOptions = {}): MemoryStorage {
  return new Memory(options)
}

class Memory implements MemoryStorage {
  readonly name = 'memory'
  readonly outside: OutsideFiles
  #content: Content
  readonly #clock: Clock | undefined
  #open: { owner: StorageOwner; runner: Runner } | undefined

  constructor(options: MemoryOptions) {
    this.#clock = options.clock
    const foldsCase = options.foldsCase ?? false
    this.#content = new Content({ fast: options.fast ?? false, clock: options.clock, foldsCase })
    this.outside = outsideOf(() => this.#content)
  }

  get faults(): MemoryFaults {
    return this.#content.faults
  }

  get owner(): StorageOwner | undefined {
    return this.#open?.owner
  }

  image(): MemoryImage {
    return this.#copyOf(this.#content) as unknown as MemoryImage
  }

  replace(image?: MemoryImage): void {
    this.#refuseOpen()
    this.#content = this.#copyOf(image as unknown as Content | undefined)
  }

  #copyOf(content: Content | undefined): Content {
    return new Content(this.#content.options, this.faults, content)
  }

  #refuseOpen(): void {
    const holder = this.#open?.owner
    if (holder === undefined) return
    const who = `node ${holder.nodeId} (boot ${holder.bootId})`
    throw new HotspareError('STORAGE_LOCKED', `the memory is open for ${who}`, {
      details: { nodeId: holder.nodeId },
    })
  }

  async open(owner: StorageOwner): Promise<OpenStorage> {
    this.#refuseOpen()
    this.#content.checkChange(false)
    // As on a real disk, a new process does not learn of earlier failed syncs.
    this.#content.tree.failed.clear()
    this.#content.objects.failed.clear()
    const runner = new Runner(this.faults, this.#clock)
    this.#open = { owner, runner }
    return new OpenMemory(this.#content, runner, () => {
      if (this.#open?.runner === runner) this.#open = undefined
    })
  }

  crash(random: Random, options: { readonly powerCut?: boolean } = {}): void {
    this.#open?.runner.crash(random, 'the storage crashed')
    this.#open = undefined
    for (const logs of this.#content.logs.values()) {
      for (const log of logs.values()) log.crash(random)
    }
    if (this.#content.fast) return
    if (options.powerCut === false) {
      this.#mayEvict(random)
      return
    }
    // The tree first, because a lost rename puts its file back among the objects.
    this.#content.tree.crash(random)
    this.#content.objects.crash(random)
  }

  /**
   * After a process crash, the system may or may not drop from its cache what a failed sync did not
   * write.
   */
  #mayEvict(random: Random): void {
    const { tree, objects } = this.#content
    if (!(tree.hasDropped || objects.hasDropped) || toss(random)) return
    tree.evict()
    objects.evict()
  }

  flipBit(target: FlipTarget, random: Random): boolean {
    const { documents, damaged, logs, objects, tree } = this.#content
    switch (target.kind) {
      case 'document':
        if (documents.has(target.name)) damaged.add(target.name)
        return documents.has(target.name)
      case 'log':
        return logs.get(target.area)?.get(target.name)?.flip(random) ?? false
      case 'object':
        return objects.flip(objectKey(target.area, target.name), random)
      case 'file': {
        const file = tree.get(target.path)
        if (file === undefined) return false
        const bytes = new Uint8Array(file.bytes.view())
        if (!flip(bytes, random)) return false
        // Size, time and inode stay the same, as with a failing disk.
        tree.change(target.path, { file: { ...file, bytes: new Bytes(bytes) }, tears: 'never' })
        tree.sync(target.path)
        return true
      }
    }
  }
}

class OpenMemory implements OpenStorage {
  readonly documents: MemoryDocuments
  readonly logs: MemoryLogs
  readonly objects: MemoryObjects
  readonly tree: MemoryTree
  readonly #content: Content
  readonly #runner: Runner
  readonly #unlock: () => void
  #closing: Promise<void> | undefined

  constructor(content: Content, runner: Runner, unlock: () => void) {
    this.documents = new MemoryDocuments(content, runner)
    this.logs = new MemoryLogs(content, runner)
    this.objects = new MemoryObjects(content, runner)
    this.tree = new MemoryTree(content, runner)
    this.#content = content
    this.#runner = runner
    this.#unlock = unlock
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const ended = await this.#runner.end('the storage is closed')
    if (ended === 'crashed') return
    for (const logs of this.#content.logs.values()) {
      for (const log of logs.values()) log.open = false
    }
    this.#unlock()
  }
}

function outsideOf(content: () => Content): OutsideFiles {
  return {
    list: () => content().tree.paths().sort(),
    read: (path) => {
      const bytes = content().tree.get(path)?.bytes.view()
      return bytes === undefined ? undefined : new Uint8Array(bytes)
    },
    mode: (path) => content().tree.get(path)?.mode,
    stat: (path) => content().tree.stat(path),
    write: (path, bytes, mode = 0o644) => {
      const { tree } = content()
      checkTreePath(path)
      tree.makeWay(path, true)
      tree.change(path, {
        file: tree.newFile(new Bytes(new Uint8Array(bytes)), mode),
        tears: 'never',
      })
      tree.sync(path)
    },
    remove: (path) => {
      const { tree } = content()
      if (tree.get(path) === undefined) return
      tree.change(path, { file: undefined, tears: 'never' })
      tree.sync(path)
    },
  }
}
