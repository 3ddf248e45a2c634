/**
 * Storage in a directory of the local file system: the application's files in it, and the node's
 * own in the folder `.hotspare`.
 *
 * It requires a local file system (network file systems differ in what fsync and rename guarantee),
 * one process at a time (enforced by a lock file), and no other writer below the root than the
 * application and this library. Symbolic links below the root are never followed.
 *
 * @example
 * ```ts
 * import { directory } from 'hotspare/storage/directory'
 *
 * const storage = directory('./data')
 * const opened = await storage.open({ nodeId: 'alpha', bootId: 'b1' })
 * await opened.tree.apply([
 *   { kind: 'put', path: 'messages/42.txt', bytes: Buffer.from('hello'), mode: 0o644 },
 * ])
 * await opened.tree.sync(['messages/42.txt'])
 * await opened.close()
 * ```
 *
 * @packageDocumentation
 */

import { lstat, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { HotspareError } from '../errors.js'
import type { OpenStorage, Storage, StorageOwner } from '../interfaces/storage.js'
import { requireKnown } from '../util/option-names.js'
import { CallGate } from './directory/base/call-gate.js'
import { isMissing, makesMax, replaceFile, syncFolder } from './directory/base/durable.js'
import { isForbidden, storageError } from './directory/base/fs-error.js'
import { decodeValue, encodeValue } from './directory/base/header.js'
import { Layout, objectAreas } from './directory/base/layout.js'
import { Room } from './directory/base/room.js'
import { SharedBuffers } from './directory/base/shared-buffers.js'
import { DirectoryDocuments } from './directory/documents.js'
import { newLendingState, restoreMode } from './directory/engine/access.js'
import { type Lane, openLane } from './directory/engine/lane.js'
import { DirectoryLock } from './directory/lock.js'
import { DirectoryLogs } from './directory/logs.js'
import { DirectoryObjects } from './directory/objects.js'
import { Syncer } from './directory/syncer.js'
import { DirectoryTree } from './directory/tree.js'
import { storageFailed } from './failure.js'

/** Options of {@link directory}. */
export interface DirectoryOptions {
  /**
   * Whether files are read and written in worker threads. Without them the same work blocks the
   * event loop. Default true; the main thread is used where the worker's file is missing, as in a
   * bundle.
   */
  readonly threads?: boolean
}

/**
 * Makes a storage in a directory, which is created when it is missing.
 *
 * @param root - the directory, absolute or relative to the working directory
 * @throws TypeError when the root is empty; `OPTION_INVALID` for an unknown option
 */
export function directory(root: string, options: DirectoryOptions = {}): Storage {
  if (typeof root !== 'string' || root === '') {
    throw new TypeError('directory() needs the path of a directory')
  }
  requireKnown('directory()', options, ['threads'])
  const layout = new Layout(root, 'main')
  const threads = options.threads ?? true
  return { name: 'directory', open: (owner, waits) => openDirectory(layout, owner, threads, waits) }
}

async function openDirectory(
  layout: Layout,
  owner: StorageOwner,
  threads: boolean,
  waits: (why: string) => void = () => undefined,
): Promise<OpenStorage> {
  const gate = new CallGate()
  try {
    await makeStateFolder(layout)
    const lock = await DirectoryLock.take(layout, owner, { lost: (why) => gate.end(why), waits })
    gate.watch(lock)
    try {
      waits('removing what a crash left half written')
      await checkFormat(layout)
      await emptyTemporary(layout)
      for (const area of objectAreas) await mkdir(layout.objectFolder(area), { recursive: true })
      const room = await Room.open(layout)
      const foldsCase = await ignoresCase(layout)
      return new OpenDirectory(layout, gate, lock, { room, threads, foldsCase })
    } catch (error) {
      await lock.release().catch(() => undefined)
      throw error
    }
  } catch (error) {
    throw openError(error, layout.root)
  }
}

/**
 * The error of a failed open. Missing permissions are reported as `STORAGE_READ_ONLY`, because the
 * device has not failed.
 */
function openError(error: unknown, root: string): HotspareError {
  if (!isForbidden(error)) return storageError(error, 'cannot open the storage', root)
  const why = error instanceof Error ? error.message : String(error)
  const what = `cannot open the storage ${JSON.stringify(root)}, which this process may not write: ${why}`
  return new HotspareError('STORAGE_READ_ONLY', what, { cause: error, details: { path: root } })
}

/** Properties of an opened directory. */
interface Found {
  readonly room: Room
  /** Whether worker threads do the work. */
  readonly threads: boolean
  /** Whether paths that differ only in case are one file in this folder. */
  readonly foldsCase: boolean
}

/**
 * An open directory. It has two lanes, so that neither kind of work waits long for the other: on
 * the active, a joining standby reads everything while writes go on; on a standby, chunks of a
 * restore arrive while updates are applied. Within a lane one piece of work takes milliseconds,
 * because callers limit its size and large copies pause.
 */
class OpenDirectory implements OpenStorage {
  readonly documents: DirectoryDocuments
  readonly logs: DirectoryLogs
  readonly objects: DirectoryObjects
  readonly tree: DirectoryTree
  readonly room: Room
  readonly #gate: CallGate
  readonly #lock: DirectoryLock
  readonly #lanes: readonly Lane[]
  #closing: Promise<void> | undefined

  constructor(layout: Layout, gate: CallGate, lock: DirectoryLock, found: Found) {
    const { room, threads, foldsCase } = found
    const { root } = layout
    const lending = newLendingState()
    const changes = openLane({ root, lane: 'changes', lending }, threads)
    const bulk = openLane({ root, lane: 'bulk', lending }, threads)
    const syncer = new Syncer(layout, bulk)
    const buffers = new SharedBuffers()
    this.documents = new DirectoryDocuments(layout, gate, room)
    this.logs = new DirectoryLogs(layout, gate, room, lock)
    this.objects = new DirectoryObjects(bulk, syncer, gate, buffers)
    this.tree = new DirectoryTree({ changes, bulk, syncer, gate, buffers, room, foldsCase })
    this.#gate = gate
    this.#lock = lock
    this.room = room
    this.#lanes = [changes, bulk]
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#gate.end('the storage is closed')
    await this.#gate.idle()
    try {
      await this.logs.closeAll()
      for (const lane of this.#lanes) await lane.close()
      await this.room.close()
    } finally {
      await this.#lock.release()
    }
  }
}

async function makeStateFolder(layout: Layout): Promise<void> {
  await makeFolder(layout.root)
  const isNew = await makeFolder(layout.state, 0o700)
  const found = await lstat(layout.state)
  // A link may lead to another file system, from which files cannot be renamed into the tree.
  if (!found.isDirectory()) throw storageFailed(`${layout.state} is not a folder`, layout.state)
  await mkdir(layout.temporary, { recursive: true })
  // A process that was killed here before may have made the root.
  if (isNew) await syncFolder(dirname(layout.root))
}

/**
 * Makes a folder and those above it, each durably; returns whether it was missing. Not `mkdir` with
 * `recursive`, because that never returns where the system refuses to create a folder in an
 * existing one, as in `/proc`. A folder may be missing once more although the one above is there:
 * another node has just made that one.
 */
async function makeFolder(path: string, mode?: number, makes = makesMax): Promise<boolean> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    const found = await stat(path).catch(() => undefined)
    if (found?.isDirectory() === true) return false
    if (found !== undefined) {
      throw new HotspareError('STORAGE_FAILED', `${path} is a file, wanted a directory`, {
        cause: error,
        details: { path },
        whatToDo: 'Give directory() the path of a directory, or move the file away.',
      })
    }
    const above = dirname(path)
    if (!isMissing(error) || above === path || makes <= 1) throw error
    await makeFolder(above)
    return await makeFolder(path, mode, makes - 1)
  }
  await syncFolder(dirname(path))
  return true
}

const formatText = 'hotspare storage'

/**
 * Writes the format marker at the first open; refuses a storage of a newer format at later ones.
 */
async function checkFormat(layout: Layout): Promise<void> {
  let file: Buffer
  try {
    file = await readFile(layout.format)
  } catch (error) {
    if (!isMissing(error)) throw error
    await replaceFile(layout, layout.format, encodeValue('format', Buffer.from(formatText)))
    return
  }
  const text = Buffer.from(decodeValue('format', file, layout.format)).toString()
  if (text === formatText) return
  throw new HotspareError('STORAGE_FORMAT', `${layout.format} says ${JSON.stringify(text)}`)
}

/**
 * Whether the file system ignores case: the format marker is then found under its name in capitals
 * too.
 */
async function ignoresCase(layout: Layout): Promise<boolean> {
  try {
    const [one, other] = [await lstat(layout.format), await lstat(layout.formatOtherwise)]
    return one.ino === other.ino
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/**
 * Removes temporary files that a crash left, and restores the mode of a file that was changed only
 * to open it.
 */
async function emptyTemporary(layout: Layout): Promise<void> {
  for (const name of await readdir(layout.temporary)) {
    restoreMode(layout, name)
    await rm(`${layout.temporary}/${name}`, { recursive: true, force: true })
  }
}
