/** Creates the lock file in one step, and reads it. */
import { openSync } from 'node:fs'
import { link, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { isMissing } from './base/durable.js'
import { errnoOf } from './base/fs-error.js'
import type { Layout } from './base/layout.js'
import type { LockContent } from './lock-holder.js'

export async function modified(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}

const unknownProcess = {
  pid: 0,
  processStart: '',
  machineBoot: '',
  processNamespace: '',
  host: '',
}
function isLockContent(value: unknown): value is LockContent {
  if (typeof value !== 'object' || value === null) return false
  const record = value as Record<string, unknown>
  const words = [
    'nodeId',
    'bootId',
    'token',
    'processStart',
    'machineBoot',
    'processNamespace',
    'host',
  ]
  return words.every((word) => typeof record[word] === 'string') && Number.isInteger(record.pid)
}

/**
 * The content of the lock file; undefined when there is none. A file that cannot be parsed has an
 * empty token.
 */
export async function readLock(path: string): Promise<LockContent | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  try {
    const found: unknown = JSON.parse(text)
    if (isLockContent(found)) return found
  } catch {
    // Fall through: not JSON.
  }
  return { ...unknownProcess, nodeId: 'unknown', bootId: 'unknown', token: '' }
}

/** For file systems without hard links. */
async function createInPlace(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Creates the lock file with its content in one step, by linking a temporary file. False when it
 * exists.
 */
export async function create(layout: Layout, content: LockContent): Promise<boolean> {
  const text = `${JSON.stringify(content, null, 2)}\n`
  const temporary = `${layout.temporary}/lock-${content.token}`
  await writeFile(temporary, text, { flag: 'wx', mode: 0o600 })
  try {
    await link(temporary, layout.lock)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    return await createInPlace(layout.lock, text)
  } finally {
    await unlink(temporary).catch(() => undefined)
  }
}

/**
 * Opens the lock file that was just created. If that fails the file is removed, because no process
 * would hold the lock.
 */
export async function openCreated(path: string): Promise<number> {
  try {
    return openSync(path, 'r')
  } catch (error) {
    await unlink(path).catch(() => undefined)
    throw error
  }
}
