/**
 * Logs as files in the state folder: one folder for each area, one file for each log.
 *
 * If the previous holder of the lock may be alive and have a log open, the log is replaced by a
 * copy under the same name before it is used. What that process still appends then goes into the
 * old file, which is not read any more.
 */

import { close, constants, fstat, open as openFile } from 'node:fs'
import { copyFile, lstat, open, readdir, rename, rm, unlink } from 'node:fs/promises'
import type { Log, LogInfo, LogStore } from '../../interfaces/storage.js'
import { storageFailed } from '../failure.js'
import { checkLogName } from '../names.js'
import type { CallGate } from './base/call-gate.js'
import { isMissing, makeFolder, noFollow, syncFolder } from './base/durable.js'
import { storageError } from './base/fs-error.js'
import type { Layout } from './base/layout.js'
import type { Room } from './base/room.js'
import { DirectoryLog, logFlags } from './log.js'

/** The logs of one open directory. */
export class DirectoryLogs implements LogStore {
  readonly #layout: Layout
  readonly #gate: CallGate
  readonly #room: Room
  readonly #isHeld: () => Promise<boolean>
  /** The open logs by path; undefined while one is being opened. */
  readonly #open = new Map<string, DirectoryLog | undefined>()

  /**
   * The paths of logs that were replaced by copies; undefined where no other process can have one
   * open.
   */
  readonly #copied: Set<string> | undefined

  /** @param lock - the lock of the storage; `wasWatched`: its previous holder may be alive */
  constructor(
    layout: Layout,
    gate: CallGate,
    room: Room,
    lock: { isHeld(): Promise<boolean>; readonly wasWatched: boolean },
  ) {
    this.#layout = layout
    this.#room = room
    this.#gate = gate
    this.#isHeld = () => lock.isHeld()
    this.#copied = lock.wasWatched ? new Set() : undefined
  }

  async list(area: string): Promise<LogInfo[]> {
    return this.#run('cannot list the logs of', this.#layout.logFolder(area), async (folder) => {
      const logs: LogInfo[] = []
      for (const name of await namesIn(folder)) {
        const path = `${folder}/${name}`
        // The file of an open log may be longer, by preallocated space.
        const bytes = this.#open.get(path)?.bytes ?? (await lstat(path)).size
        logs.push({ name, bytes })
      }
      return logs
    })
  }

  async open(area: string, name: string): Promise<Log> {
    checkLogName(name)
    const folder = this.#layout.logFolder(area)
    return this.#room.use(() => this.#openIn(folder, name))
  }

  #openIn(folder: string, name: string): Promise<Log> {
    return this.#run('cannot open the log', `${folder}/${name}`, async (path) => {
      if (this.#open.has(path)) throw storageFailed(`the log ${path} is open already`, path)
      this.#open.set(path, undefined)
      try {
        const log = await this.#openFile(folder, path)
        this.#open.set(path, log)
        return log
      } catch (error) {
        this.#open.delete(path)
        throw error
      }
    })
  }

  async remove(area: string, names: readonly string[]): Promise<void> {
    for (const name of names) checkLogName(name)
    return this.#run('cannot remove logs of', this.#layout.logFolder(area), async (folder) => {
      for (const name of names) this.#mustBeClosed(`${folder}/${name}`)
      let removed = 0
      for (const name of names) {
        try {
          await unlink(`${folder}/${name}`)
          removed += 1
        } catch (error) {
          if (!isMissing(error)) throw error
        }
      }
      if (removed > 0) await syncFolder(folder)
    })
  }

  async replace(from: string, to: string): Promise<void> {
    const target = this.#layout.logFolder(to)
    return this.#run(
      'cannot replace by the logs of',
      this.#layout.logFolder(from),
      async (source) => {
        for (const path of this.#open.keys()) {
          if (path.startsWith(`${source}/`) || path.startsWith(`${target}/`))
            this.#mustBeClosed(path)
        }
        if (source === target || (await namesIn(source)).length === 0) return
        // Whole folders are renamed, so that a crash leaves one of three states: both as before; no
        // target and the whole source; the source as the target. Repeating the call completes each
        // of them.
        const old = this.#layout.newTemporary()
        try {
          await rename(target, old)
        } catch (error) {
          if (!isMissing(error)) throw error
        }
        await rename(source, target)
        await syncFolder(this.#layout.state)
        await rm(old, { recursive: true, force: true })
      },
    )
  }

  /** Closes logs that the caller left open, so that their files are cut to the appended bytes. */
  async closeAll(): Promise<void> {
    const logs = [...this.#open.values()]
    await Promise.all(logs.map((log) => log?.close()))
  }

  async #openFile(folder: string, path: string): Promise<DirectoryLog> {
    await this.#create(folder, path)
    if (this.#copied?.has(path) === false) await this.#replaceByCopy(folder, path)
    const fd = await openDescriptor(path, logFlags)
    try {
      const { size } = await statDescriptor(fd)
      return new DirectoryLog(fd, path, size, this.#gate, {
        isHeld: this.#isHeld,
        closed: () => this.#open.delete(path),
        makeRoom: () => this.#room.release(),
      })
    } catch (error) {
      close(fd)
      throw error
    }
  }

  async #replaceByCopy(folder: string, path: string): Promise<void> {
    const copy = this.#layout.newTemporary()
    await copyFile(path, copy, constants.COPYFILE_FICLONE)
    const file = await open(copy, 'r+')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(copy, path)
    await syncFolder(folder)
    this.#copied?.add(path)
  }

  /** Creates the file, unless it is there, and makes its name durable. */
  async #create(folder: string, path: string): Promise<void> {
    try {
      await lstat(path)
      return
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    await makeFolder(this.#layout, folder)
    const fresh = await open(path, constants.O_RDWR | constants.O_CREAT | noFollow, 0o600)
    try {
      await fresh.sync()
    } finally {
      await fresh.close()
    }
    await syncFolder(folder)
  }

  #mustBeClosed(path: string): void {
    if (this.#open.has(path)) throw storageFailed(`the log ${path} is still open`, path)
  }

  #run<T>(doing: string, path: string, action: (path: string) => Promise<T>): Promise<T> {
    return this.#gate.run(async () => {
      try {
        return await action(path)
      } catch (error) {
        throw storageError(error, doing, path)
      }
    })
  }
}

/** The files in a folder, sorted; none when it does not exist. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

function openDescriptor(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    openFile(path, flags, 0o600, (error, fd) => (error === null ? resolve(fd) : reject(error)))
  })
}

function statDescriptor(fd: number): Promise<{ size: number }> {
  return new Promise((resolve, reject) => {
    fstat(fd, (error, stats) => (error === null ? resolve(stats) : reject(error)))
  })
}
