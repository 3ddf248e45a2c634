/**
 * Why an attempt to follow ended, with a code for programs: whatever is no error of this library is
 * a fault in it.
 */

import type { ErrorCode } from '../../error-codes.js'
import { HotspareError } from '../../errors.js'

export interface BrokenBy {
  readonly code: ErrorCode
  readonly reason: string
}

export function brokenBy(error: unknown): BrokenBy {
  if (error instanceof HotspareError) return { code: error.code, reason: error.message }
  return { code: 'INTERNAL', reason: error instanceof Error ? error.message : String(error) }
}
