/** Maps errors of the operating system to the errors of a storage. */

import type { ErrorCode } from '../../../error-codes.js'
import { HotspareError } from '../../../errors.js'

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'STORAGE_FULL',
  EDQUOT: 'STORAGE_FULL',
  EROFS: 'STORAGE_READ_ONLY',
  EMFILE: 'RESOURCES_EXHAUSTED',
  ENFILE: 'RESOURCES_EXHAUSTED',
  ENOMEM: 'RESOURCES_EXHAUSTED',
  EAGAIN: 'RESOURCES_EXHAUSTED',
  ERR_WORKER_INIT_FAILED: 'RESOURCES_EXHAUSTED',
}

/** Errors that mean missing permissions, and their remedy. */
const forbidden: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM'])
const giveRights =
  "Give the process's user the right to read and write it (owner, mode); a running node continues by itself, a failed start has to be repeated."

/**
 * Whether a call had no effect because the process or the machine had no descriptors, threads or
 * memory left.
 */
export function isExhausted(error: unknown): boolean {
  return codes[errnoOf(error) ?? ''] === 'RESOURCES_EXHAUSTED'
}

/** Whether a call failed because the user of the process has no permission. */
export function isForbidden(error: unknown): boolean {
  return forbidden.has(errnoOf(error))
}

/**
 * The errno name of an error of the operating system, for example `ENOENT`; undefined for others.
 */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as NodeJS.ErrnoException
  return typeof code === 'string' ? code : undefined
}

/**
 * The HotspareError for a failed call. An error that is a HotspareError already is returned as it
 * is.
 *
 * @param error - what was thrown
 * @param doing - the failed action, for example `cannot write the document`
 * @param path - the path of the failed call
 */
export function storageError(error: unknown, doing: string, path: string): HotspareError {
  if (error instanceof HotspareError) return error
  const errno = errnoOf(error)
  const reason = error instanceof Error ? error.message : String(error)
  const code = (errno === undefined ? undefined : codes[errno]) ?? 'STORAGE_FAILED'
  return new HotspareError(code, `${doing} ${JSON.stringify(path)}: ${reason}`, {
    cause: error,
    details: { path },
    ...(isForbidden(error) ? { whatToDo: giveRights } : {}),
  })
}
