/**
 * Why an attempt to follow ended, with an error code. An error that is no HotspareError is a defect
 * of this library, so its code is `INTERNAL`.
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
