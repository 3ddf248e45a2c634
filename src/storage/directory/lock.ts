/**
 * The lock file: one living process at a time on one directory.
 *
 * Node provides no file locks of the operating system. So the lock file names its holder, and a
 * process that wants the lock determines whether the holder is alive:
 *
 * - same boot of the machine and same process namespace: by process id and the process's start
 *   time;
 * - another boot of the same machine: it is dead;
 * - anything else (another container, a shared disk): by watching the file. A holder touches it
 *   every {@link touchEveryMs}; one that has not touched it for {@link defaultWatchMs} counts as
 *   dead.
 *
 * A holder that was declared dead while it was only suspended (its container was paused, its
 * machine slept) notices at its next touch, and ends its storage. Before that, a call whose lock is
 * overdue renews the lock first, so that it does not write into the files of the new holder. One
 * case remains: a process that is suspended between that check and the write. A journal is safe
 * from that too, because a node that takes a lock after watching it replaces each log that it opens
 * by a copy of its own.
 */

import { createHash, randomUUID } from 'node:crypto'
import { closeSync, fstatSync } from 'node:fs'
import { link, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { HotspareError } from '../../errors.js'
import type { StorageOwner } from '../../interfaces/storage.js'
import type { Guard } from './base/call-gate.js'
import { isMissing } from './base/durable.js'
import { errnoOf, isExhausted, storageError } from './base/fs-error.js'
import type { Layout } from './base/layout.js'
import { create, modified, openCreated, readLock } from './lock-file.js'
import { describeThisProcess, isKnownToLive, type LockContent, who } from './lock-holder.js'

/** How often a holder touches its lock. */
export const touchEveryMs = 1000
/**
 * How long a lock must stay untouched before it is taken from a holder that cannot be checked
 * directly.
 */
export const defaultWatchMs = 5000
/**
 * Age of the last renewal above which a call renews the lock before it does anything; well below
 * the time after which another process may take it.
 */
const overdueMs = 2500
/**
 * Age above which a claim on a dead holder's lock counts as abandoned; a live claim lasts a few
 * milliseconds.
 */
const claimStaleMs = 10_000
/** Pause while another process has the claim. */
const claimWaitMs = 20
/**
 * Attempts to take the lock while other processes take it too; then the call is `STORAGE_LOCKED`.
 */
const attemptsMax = 5

/** Callbacks of a lock. */
export interface LockListener {
  /** The lock was lost: another process took it, or the file was removed. */
  lost(why: string): void
  /** The lock has a holder, which is being checked. */
  waits(why: string): void
}

/**
 * An instant on two clocks: the monotonic one may stop while a machine sleeps, the wall clock may
 * be set.
 */
interface Instant {
  readonly runningMs: number
  readonly wallMs: number
}

const now = (): Instant => ({ runningMs: performance.now(), wallMs: Date.now() })

/** The result of taking the lock. */
interface Taken {
  readonly since: Instant
  /**
   * The open lock file. As long as it is open, no other file gets its inode, even if its name is
   * removed.
   */
  readonly fd: number
  readonly wasWatched: boolean
}

/** A lock that this process has taken. */
export class DirectoryLock implements Guard {
  readonly #path: string
  readonly #content: LockContent
  readonly #fd: number
  readonly #inode: number
  readonly #timer: NodeJS.Timeout
  /**
   * Whether the previous holder was declared dead only because it did not touch the lock: it may
   * still be alive and write.
   */
  readonly wasWatched: boolean
  /** When the last successful renewal began. */
  #renewed: Instant

  private constructor(
    path: string,
    content: LockContent,
    { since, fd, wasWatched }: Taken,
    lost: (why: string) => void,
  ) {
    this.wasWatched = wasWatched
    this.#path = path
    this.#fd = fd
    this.#inode = fstatSync(fd).ino
    this.#content = content
    this.#renewed = since
    this.#timer = setInterval(() => {
      void this.#touch(lost)
    }, touchEveryMs)
    this.#timer.unref()
  }

  /**
   * Takes the lock.
   *
   * @param told - callbacks of the lock
   * @param watchMs - how long to watch a holder that cannot be checked directly
   * @throws `STORAGE_LOCKED` when a living process holds it
   */
  static async take(
    layout: Layout,
    owner: StorageOwner,
    listener: LockListener,
    watchMs: number = defaultWatchMs,
  ): Promise<DirectoryLock> {
    const content = describeThisProcess(owner)
    let wasWatched = false
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const since = now()
      if (await create(layout, content)) {
        const fd = await openCreated(layout.lock)
        return new DirectoryLock(layout.lock, content, { since, fd, wasWatched }, listener.lost)
      }
      const holder = await readLock(layout.lock)
      if (holder === undefined) continue
      listener.waits(`the lock is held by ${who(holder)}; checking whether that process is alive`)
      const known = isKnownToLive(holder)
      const isLiving = known ?? (await isTouched(layout.lock, watchMs))
      if (isLiving) throw locked(layout, holder)
      wasWatched ||= known === undefined
      await removeDeadLock(layout, holder)
    }
    throw new HotspareError(
      'STORAGE_LOCKED',
      `${layout.root} is being taken by other processes at the moment`,
    )
  }

  /** Reads the lock file to determine whether this process still has the lock. */
  async isHeld(): Promise<boolean> {
    try {
      return (await readLock(this.#path))?.token === this.#content.token
    } catch (error) {
      // Without free descriptors the file cannot be read. Its inode decides as well, because this
      // process has the file open.
      if (!isExhausted(error)) throw error
      return (await stat(this.#path).catch(() => undefined))?.ino === this.#inode
    }
  }

  /** Releases the lock, unless another process has it. */
  async release(): Promise<void> {
    clearInterval(this.#timer)
    try {
      if (await this.isHeld()) await unlink(this.#path)
    } catch (error) {
      if (!isMissing(error)) throw error
    } finally {
      closeSync(this.#fd)
    }
  }

  get isOverdue(): boolean {
    const { runningMs, wallMs } = now()
    const { runningMs: runningBefore, wallMs: wallBefore } = this.#renewed
    return (
      runningMs - runningBefore > overdueMs ||
      // A wall clock that was set in either direction counts as overdue, because the time that
      // passed is unknown.
      Math.abs(wallMs - wallBefore) > overdueMs
    )
  }

  /**
   * Touches the lock file. Returns why the lock is lost; undefined when this process still has it.
   * @throws `STORAGE_READ_ONLY`, `RESOURCES_EXHAUSTED`, `STORAGE_FAILED`
   */
  async renew(): Promise<string | undefined> {
    try {
      return await this.#renew()
    } catch (error) {
      throw storageError(error, 'cannot renew the lock', this.#path)
    }
  }

  async #renew(): Promise<string | undefined> {
    const began = now()
    if (!(await this.isHeld())) return await this.#lostTo()
    const time = new Date()
    await utimes(this.#path, time, time)
    // Checked again: if another process took the lock in between, the touch hit its file.
    if (!(await this.isHeld())) return await this.#lostTo()
    this.#renewed = began
    return undefined
  }

  async #lostTo(): Promise<string> {
    const holder = await readLock(this.#path).catch(() => undefined)
    const taker = holder === undefined ? 'its file was removed' : `${who(holder)} took it`
    return `the lock of the storage was lost: ${taker}`
  }

  async #touch(lost: (why: string) => void): Promise<void> {
    try {
      const why = await this.renew()
      if (why === undefined) return
      clearInterval(this.#timer)
      lost(why)
    } catch {
      // Ignored, because a failing device is reported by the calls that use it.
    }
  }
}

/** Watches whether the holder still touches its lock. */
async function isTouched(path: string, watchMs: number): Promise<boolean> {
  const before = await modified(path)
  const steps = 10
  for (let step = 0; step < steps; step += 1) {
    await sleep(watchMs / steps)
    if ((await modified(path)) !== before) return true
  }
  return false
}

/**
 * Removes the lock of a dead holder, under a claim for that holder's token. Without the claim, a
 * slow process could remove the lock of the process that took it since.
 */
async function removeDeadLock(layout: Layout, holder: LockContent): Promise<void> {
  const claim = `${layout.temporary}/claim-${createHash('sha256').update(holder.token).digest('hex')}`
  if (!(await claimed(claim))) return
  try {
    if ((await readLock(layout.lock))?.token !== holder.token) return
    const aside = `${layout.temporary}/lock-${randomUUID()}`
    await rename(layout.lock, aside)
    // The holder may have been alive and released the lock, and another process taken it, after it
    // was read: then its file is put back.
    const moved = await readLock(aside)
    if (moved !== undefined && moved.token !== holder.token) {
      await link(aside, layout.lock).catch(() => undefined)
    }
    await unlink(aside).catch(() => undefined)
  } catch (error) {
    if (!isMissing(error)) throw error
  } finally {
    await unlink(claim).catch(() => undefined)
  }
}

/** Takes the claim; false while another process has it. An abandoned claim is removed. */
async function claimed(claim: string): Promise<boolean> {
  try {
    await writeFile(claim, '', { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  const sinceMs = await modified(claim)
  if (sinceMs !== 0 && Date.now() - sinceMs > claimStaleMs) {
    await unlink(claim).catch(() => undefined)
  }
  await sleep(claimWaitMs)
  return false
}

function locked(layout: Layout, holder: LockContent): HotspareError {
  return new HotspareError('STORAGE_LOCKED', `${layout.root} is locked by ${who(holder)}`, {
    details: { path: layout.lock, nodeId: holder.nodeId, pid: holder.pid },
  })
}
