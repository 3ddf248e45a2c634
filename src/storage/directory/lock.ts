/**
 * The lock file: one living process at a time on one directory.
 *
 * Node offers no lock of the operating system, so the file says who holds it, and the next one
 * decides whether that process still lives:
 *
 * - same boot of the machine and same process namespace: by process id and the process's start
 *   time;
 * - another boot of the same machine: it is gone;
 * - anything else (another container, a shared disk): the file is watched. A holder touches it
 *   every {@link touchEveryMs}; one that does not for {@link defaultWatchMs} is taken for gone.
 *
 * A holder that was taken for gone although it lived (its container was paused, its machine slept)
 * notices at its next touch, and ends itself. Before that a call whose lock is overdue renews it
 * first, so that nothing is written into the files of the next holder. One case remains: a process
 * that is suspended between that check and the write, until {@link defaultWatchMs} is over. A
 * journal is safe from that too, because a node that takes a lock after watching it replaces each
 * log that it opens by a copy of its own.
 */

import { createHash, randomUUID } from 'node:crypto'
import { closeSync, fstatSync } from 'node:fs'
import { link, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { HotspareError } from '../../errors.js'
import type { StorageOwner } from '../../interfaces/storage.js'
import { isMissing } from './base/durable.js'
import { errnoOf, isExhausted, storageError } from './base/fs-error.js'
import type { Guard } from './base/gate.js'
import type { Layout } from './base/layout.js'
import { create, modified, openCreated, readLock } from './lock-file.js'
import { describeThisProcess, isKnownToLive, type LockContent, who } from './lock-holder.js'

/** How often a holder shows that it lives. */
export const touchEveryMs = 1000
/** How long a lock whose holder cannot be looked at must stay untouched to be taken. */
export const defaultWatchMs = 5000
/**
 * A lock that was not renewed for this long is renewed before anything is done: well before anybody
 * may take it.
 */
const overdueMs = 2500
/**
 * A claim on a lock whose holder is gone takes a few milliseconds; one that is older was left
 * behind.
 */
const claimStaleMs = 10_000
/** How long is waited for another one that has it. */
const claimWaitMs = 20
/**
 * Times that the lock is tried to be taken while others take it, too; then the storage is
 * `STORAGE_LOCKED`.
 */
const attemptsMax = 5

/** Who hears of a lock. */
export interface LockListener {
  /** Another process has taken it nevertheless. */
  lost(why: string): void
  /** It is held, and its holder is looked at. */
  waits(why: string): void
}

/**
 * An instant, by both clocks: one of them stands still while a machine sleeps, the other may be
 * set.
 */
interface Instant {
  readonly runningMs: number
  readonly wallMs: number
}

const now = (): Instant => ({ runningMs: performance.now(), wallMs: Date.now() })

/** How a lock was taken. */
interface Taken {
  readonly since: Instant
  /**
   * The lock file, open: as long as it is, no other file gets its inode, whoever removes its name.
   */
  readonly fd: number
  readonly wasWatched: boolean
}

/** A lock that is held. */
export class DirectoryLock implements Guard {
  readonly #path: string
  readonly #content: LockContent
  readonly #fd: number
  readonly #inode: number
  readonly #timer: NodeJS.Timeout
  /**
   * Whether the holder before was taken for gone only because it did nothing: it may live, and
   * write.
   */
  readonly wasWatched: boolean
  /** When the last renewal began that succeeded. */
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
   * @param told - who hears of the lock
   * @param watchMs - how long a holder that cannot be looked at is watched
   * @throws `STORAGE_LOCKED` when a living process holds it
   */
  static async take(
    layout: Layout,
    owner: StorageOwner,
    told: LockListener,
    watchMs: number = defaultWatchMs,
  ): Promise<DirectoryLock> {
    const content = describeThisProcess(owner)
    let wasWatched = false
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const since = now()
      if (await create(layout, content)) {
        const fd = await openCreated(layout.lock)
        return new DirectoryLock(layout.lock, content, { since, fd, wasWatched }, told.lost)
      }
      const holder = await readLock(layout.lock)
      if (holder === undefined) continue
      told.waits(`the lock is held by ${who(holder)}; looking whether that process lives`)
      const known = isKnownToLive(holder)
      const isLiving = known ?? (await isTouched(layout.lock, watchMs))
      if (isLiving) throw locked(layout, holder)
      wasWatched ||= known === undefined
      await setAside(layout, holder)
    }
    throw new HotspareError('STORAGE_LOCKED', `${layout.root} is being taken by others just now`)
  }

  /** Whether the lock file is this one's now, which is noticed by itself only at the next touch. */
  async isHeld(): Promise<boolean> {
    try {
      return (await readLock(this.#path))?.token === this.#content.token
    } catch (error) {
      // A process without descriptors cannot read the lock; its inode, which is in use, says as
      // well whose it is.
      if (!isExhausted(error)) throw error
      return (await stat(this.#path).catch(() => undefined))?.ino === this.#inode
    }
  }

  /** Gives the lock back, unless somebody else has it. */
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
      // A clock that was set back says nothing of the time that passed.
      Math.abs(wallMs - wallBefore) > overdueMs
    )
  }

  /**
   * Touches the lock file. Answers why the lock is lost; undefined when it is held.
   * @throws `STORAGE_READ_ONLY`, `RESOURCES_EXHAUSTED`, `STORAGE_FAILED`: callers of the storage
   *   see it as it is
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
    // Once more: between the two it may have been taken, and then it was another one's that was
    // touched.
    if (!(await this.isHeld())) return await this.#lostTo()
    this.#renewed = began
    return undefined
  }

  async #lostTo(): Promise<string> {
    const holder = await readLock(this.#path).catch(() => undefined)
    const taker = holder === undefined ? 'somebody removed it' : `${who(holder)} took it`
    return `the lock of the storage was lost: ${taker}`
  }

  async #touch(lost: (why: string) => void): Promise<void> {
    try {
      const why = await this.renew()
      if (why === undefined) return
      clearInterval(this.#timer)
      lost(why)
    } catch {
      // A device that fails shows itself in the calls that matter; the lock stays as it is.
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
 * Moves the lock of a holder that is gone out of the way. Only whoever has the claim on that very
 * holder may: of several that found it gone, a slow one would else move the lock of the one that
 * took it since.
 */
async function setAside(layout: Layout, holder: LockContent): Promise<void> {
  const claim = `${layout.temporary}/claim-${createHash('sha256').update(holder.token).digest('hex')}`
  if (!(await claimed(claim))) return
  try {
    if ((await readLock(layout.lock))?.token !== holder.token) return
    const aside = `${layout.temporary}/lock-${randomUUID()}`
    await rename(layout.lock, aside)
    // A holder that was only taken for gone may have given it back, and another one taken it, since
    // it was read.
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

/** False while another one has the claim; a claim that is left behind is removed. */
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
  return new HotspareError('STORAGE_LOCKED', `${layout.root} is held by ${who(holder)}`, {
    details: { path: layout.lock, nodeId: holder.nodeId, pid: holder.pid },
  })
}
