/**
 * Limits of one call to a storage. The library's own calls stay far below them; they turn a defect
 * or a hostile number into an error before it exhausts the memory.
 */

import { HotspareError } from '../errors.js'

const kib = 1024
const mib = 1024 * kib

/** Bytes that one `tree.read` may ask for; more are `OPTION_INVALID`. */
export const readBytesMax: number = 16 * mib
/** Bytes that the operations of one `tree.apply` may carry; more are `OPTION_INVALID`. */
export const applyBytesMax: number = 64 * mib
/** Operations, paths, requests or slices in one call; more are `OPTION_INVALID`. */
export const itemsMax = 262_144
/**
 * Bytes of one document: the longest snapshot of application state, with the fields around it; more
 * are `OPTION_INVALID`.
 */
export const documentBytesMax: number = 1025 * mib
/**
 * Bytes that one `objects.write` may carry and one `objects.read` may ask for; more are
 * `OPTION_INVALID`.
 */
export const objectBytesMax: number = 64 * mib
/**
 * Bytes that one `log.append` may carry and one `log.read` may return; more are `OPTION_INVALID`.
 */
export const logBytesMax: number = 256 * mib

/**
 * Refuses a number above a limit.
 *
 * @throws `OPTION_INVALID` with both numbers
 */
export function checkLimit(actual: number, limit: number, what: string): void {
  if (actual <= limit) return
  throw new HotspareError('OPTION_INVALID', `${what}: ${actual} is above the limit of ${limit}`, {
    details: { limit, actual },
  })
}

/**
 * Refuses a number that is not a valid offset or length.
 *
 * @throws `OPTION_INVALID`
 */
export function checkCount(value: number, what: string): void {
  if (Number.isSafeInteger(value) && value >= 0) return
  throw new HotspareError(
    'OPTION_INVALID',
    `${what} is ${value}, and must be a whole number from 0`,
  )
}
