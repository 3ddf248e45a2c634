/** Translates what the operating system says into the errors of a storage. */

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

/** What keeps the process's user out, and what to do about it. */
const forbidden: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM'])
const giveRights =
  "Give the process's user the right to read and write it (owner, mode); a node that runs goes on by itself, a start that failed is to be repeated."

/**
 * Whether a call was never carried out, because the process or the machine had no descriptors,
 * threads or memory left.
 */
export function isExhausted(error: unknown): boolean {
  return codes[errnoOf(error) ?? ''] === 'RESOURCES_EXHAUSTED'
}

/** Whether the process's user may not do what was tried. */
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
 * The HotspareError for a failed call; one that is a HotspareError already stays as it is.
 *
 * @param error - what was thrown
 * @param doing - what was tried, for example `cannot write the document`
 * @param path - the path that it was tried on
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
