/**
 * Carries out the calls of a lane, in a worker thread or on the main thread. Most calls are
 * synchronous, because that is several times faster for many small files; fsync is asynchronous,
 * because it only waits and other calls can run meanwhile.
 */

import { close, fsync, open } from 'node:fs'
import { rm } from 'node:fs/promises'
import { type HotspareError, whatHappened } from '../../../errors.js'
import type { TreeOperation } from '../../../interfaces/tree-store.js'
import { storageFailed } from '../../failure.js'
import { parentOf } from '../../names.js'
import { errnoOf, storageError } from '../base/fs-error.js'
import type { Layout } from '../base/layout.js'
import { Access, type LendingState } from './access.js'
import { ApplyQueue, type PausingTask } from './apply-queue.js'
import { isNoFile, readFlags } from './files.js'
import { Folders } from './folders.js'
import { listObjects, readObject, removeObjects, writeObjects } from './object-files.js'
import { takeIn } from './take-in.js'
import { findObstacles, readFiles, statFiles, TreeScan } from './tree-reader.js'
import { TreeWriter } from './tree-writer.js'
import { appliedNumbers, packApplied, type SyncRequest, type Work, type WorkKind } from './work.js'

/** Time after which a long apply yields to other calls. */
const turnMs = 8

/** A handler for each kind of call. */
type Handlers = {
  readonly [Kind in WorkKind]: (
    ask: Work[Kind]['ask'],
  ) => Work[Kind]['answer'] | Promise<Work[Kind]['answer']>
}

/** Carries out the calls of one lane. */
export class Engine {
  readonly #layout: Layout
  readonly #access: Access
  readonly #writer: TreeWriter
  readonly #queue = new ApplyQueue()
  readonly #scans = new Map<number, TreeScan>()
  readonly #background = new Set<Promise<void>>()
  readonly #handlers: Handlers = {
    stat: ({ paths }) => statFiles(this.#layout, paths, new Folders(this.#layout)),
    obstacles: ({ paths }) => findObstacles(this.#layout, paths, new Folders(this.#layout)),
    read: ({ requests, into }) => readFiles(this.#layout, this.#access, requests, into),
    apply: ({ operations }) => this.#apply(operations),
    takeIn: () => takeIn(this.#layout),
    scan: ({ scan, begins }) => this.#scan(scan, begins),
    scanEnd: ({ scan }) => this.#endScan(scan),
    syncFiles: (request) => this.#syncFiles(request),
    objectList: ({ area, prefix }) => listObjects(this.#layout, area, prefix),
    objectWrite: (work) => {
      writeObjects(this.#layout, this.#access, work)
      return undefined
    },
    objectRead: (work) => readObject(this.#layout, this.#access, work),
    objectRemove: ({ area, names }) => this.#removeObjects(area, names),
    settle: async () => {
      await Promise.all(this.#background)
      return undefined
    },
  }

  constructor(layout: Layout, lending: LendingState) {
    this.#layout = layout
    this.#access = new Access(layout, lending)
    this.#writer = new TreeWriter(layout, this.#access)
  }

  /** Carries out one call. Throws or rejects with a HotspareError. */
  do<Kind extends WorkKind>(
    kind: Kind,
    ask: Work[Kind]['ask'],
  ): Work[Kind]['answer'] | Promise<Work[Kind]['answer']> {
    try {
      return this.#handlers[kind](ask)
    } catch (error) {
      throw storageError(error, `the storage failed (${kind}) in`, this.#layout.root)
    }
  }

  #apply(operations: readonly TreeOperation[]): Float64Array | Promise<Float64Array> {
    return this.#queue.run(keysOf(operations), this.#carryOut(operations))
  }

  *#carryOut(operations: readonly TreeOperation[]): PausingTask<Float64Array> {
    const folders = new Folders(this.#layout)
    const stats = new Float64Array(operations.length * appliedNumbers)
    let turnBegan = performance.now()
    for (const [index, operation] of operations.entries()) {
      try {
        const steps = this.#writer.apply(operation, folders)
        let step = steps.next()
        while (step.done !== true) {
          yield
          folders.clear()
          turnBegan = performance.now()
          step = steps.next()
        }
        packApplied(stats, index * appliedNumbers, step.value)
      } catch (error) {
        throw storageError(error, `cannot ${operation.kind}`, operation.path)
      }
      if (performance.now() - turnBegan > turnMs) {
        yield
        folders.clear()
        turnBegan = performance.now()
      }
    }
    return stats
  }

  #scan(id: number, begins: boolean): Work['scan']['answer'] {
    let scan = this.#scans.get(id)
    if (scan === undefined) {
      if (!begins) throw storageFailed('the thread that walked the tree ended in the middle')
      scan = new TreeScan(this.#layout)
      this.#scans.set(id, scan)
    }
    const batch = scan.next()
    if (batch.done) this.#endScan(id)
    return batch
  }

  #endScan(id: number): undefined {
    this.#scans.get(id)?.end()
    this.#scans.delete(id)
  }

  #removeObjects(area: Work['objectRemove']['ask']['area'], names: readonly string[]): undefined {
    for (const folder of removeObjects(this.#layout, area, names)) {
      const removal: Promise<void> = rm(folder, { recursive: true, force: true })
        // A leftover is among the temporary files, which the next open removes.
        .catch(() => undefined)
        .then(() => {
          this.#background.delete(removal)
        })
      this.#background.add(removal)
    }
  }

  /**
   * Syncs files one after the other; concurrent syncs are slower, because each waits for the
   * journal of the file system.
   */
  async #syncFiles({ base, names }: SyncRequest): Promise<undefined> {
    const folders = new Folders(this.#layout)
    const root = base === 'tree' ? this.#layout.root : this.#layout.state
    const above = new Set<string>([''])
    for (const name of names) {
      const relative = base === 'tree' ? name : `${base}/${name}`
      // A folder may have been replaced by a link while the previous file was synced.
      folders.clear()
      if (base === 'tree' && !folders.leadTo(relative)) {
        addExisting(above, relative, (folder) => folders.leadTo(`${folder}/x`))
        continue
      }
      await syncPath(`${root}/${relative}`, this.#access)
      addExisting(above, relative, () => true)
    }
    const deepestFirst = [...above].sort((a, b) => b.length - a.length)
    for (const folder of deepestFirst) {
      await syncPath(folder === '' ? root : `${root}/${folder}`, this.#access)
    }
    return undefined
  }
}

/** Adds all folders above a path that exist. */
function addExisting(to: Set<string>, path: string, exists: (folder: string) => boolean): void {
  for (let folder = parentOf(path); folder !== '' && !to.has(folder); folder = parentOf(folder)) {
    if (exists(folder)) to.add(folder)
  }
}

/** Makes a file or folder durable; one that does not exist is no error. */
async function syncPath(path: string, access: Access): Promise<void> {
  try {
    const fd = await openFile(path).catch(() => access.open(path, readFlags))
    try {
      await new Promise<void>((resolve, reject) => {
        fsync(fd, (error) => (error === null ? resolve() : reject(notSynced(error, path))))
      })
    } finally {
      close(fd)
    }
  } catch (error) {
    if (isNoFile(errnoOf(error))) return
    throw storageError(error, 'cannot make durable', path)
  }
}

/**
 * The error of a failed fsync. It is never `RESOURCES_EXHAUSTED`, which would mean that the call
 * had no effect: after a failed fsync, written bytes may be lost.
 */
function notSynced(error: unknown, path: string): HotspareError {
  const known = storageError(error, 'cannot make durable', path)
  return known.code === 'RESOURCES_EXHAUSTED' ? storageFailed(whatHappened(known), path) : known
}

function openFile(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, readFlags, (error, fd) => (error === null ? resolve(fd) : reject(error)))
  })
}

/** The keys of the paths that operations touch. Objects get keys that no path of the tree has. */
function keysOf(operations: readonly TreeOperation[]): string[] {
  const keys: string[] = []
  for (const operation of operations) {
    // In lower case, because two spellings may be one file on this file system.
    keys.push(operation.path.toLowerCase())
    if ('area' in operation) keys.push(`\0${operation.area}/${operation.name}`)
  }
  return keys
}
