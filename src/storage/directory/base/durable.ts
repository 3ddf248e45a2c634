/**
 * Makes files and names survive a power cut: file fsync, rename, folder fsync, always in this
 * order.
 */

import { constants } from 'node:fs'
import { mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoOf } from './fs-error.js'
import type { Layout } from './layout.js'

/** Flags that make an open fail on a symbolic link; 0 where the platform has none. */
export const noFollow: number = constants.O_NOFOLLOW ?? 0

/** Makes the names inside a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  // Windows does not open folders; its file system journals names by itself.
  if (process.platform === 'win32') return
  const handle = await open(path, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Attempts to make a folder while another process makes one above it; then the call fails. */
export const makesMax = 5

/**
 * Makes a folder and those above it; returns the first one that was missing. Repeated on ENOENT,
 * because Node may miss a folder above when two processes create them at the same time.
 */
async function makeAll(path: string): Promise<string | undefined> {
  for (let makes = 1; ; makes += 1) {
    try {
      return await mkdir(path, { recursive: true })
    } catch (error) {
      if (makes >= makesMax || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}

/**
 * Creates a folder and those above it up to the state folder, all durably. True when the folder was
 * missing.
 */
export async function makeFolder(layout: Layout, path: string): Promise<boolean> {
  const first = await makeAll(path)
  if (first === undefined) return false
  for (let folder = path; folder !== layout.state; ) {
    folder = dirname(folder)
    await syncFolder(folder)
    if (folder === dirname(first)) break
  }
  return true
}

/** Replaces a file by these bytes. After a crash it has either the old bytes or the new ones. */
export async function replaceFile(layout: Layout, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = layout.newTemporary()
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await makeFolder(layout, dirname(path))
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw error
  }
  await syncFolder(dirname(path))
}

/** Removes a file durably. False when there was none. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path)
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
  await syncFolder(dirname(path))
  return true
}

/** Whether a call failed because the path, or a folder on the way, does not exist. */
export function isMissing(error: unknown): boolean {
  const errno = errnoOf(error)
  return errno === 'ENOENT' || errno === 'ENOTDIR'
}
